/** Lines that are shared with other tabs of the same caller; who that is, the token says. */
import { clientError, isClientError } from '../errors.js';
import { tokenOf } from '../http/calls.js';
import { NO_CODE, type Line, type LineEvents } from '../socket/line.js';
import { SocketLine, type LineSettings } from '../socket/socket-line.js';
import type { TabChannel, TabPorts } from './browser.js';
import { TabGroup } from './group.js';
import { groupName } from './identity.js';

export class TabLines {
  readonly #settings: LineSettings;
  /** All tabs of the origin that talk to this server, whoever their callers are. */
  readonly #all: string;
  readonly #renewed: () => void;
  #channel: TabChannel | undefined;
  readonly #ports: TabPorts;
  #name: string | undefined;
  #group: TabGroup | undefined;

  /** @param renewed called when the caller of another tab, who was ours too, has changed */
  constructor(settings: LineSettings, ports: TabPorts, renewed: () => void) {
    this.#settings = settings;
    this.#ports = ports;
    this.#renewed = renewed;
    this.#all = `tidemark ${settings.realtimeUrl}`;
    this.listen();
  }

  open(events: LineEvents, refresh: boolean): Line {
    let line: Line | undefined;
    let isClosed = false;
    const find = async (): Promise<void> => {
      try {
        const name = await this.#nameFor(await tokenOf(this.#settings, refresh));
        if (!isClosed) line = this.#groupOf(name).open(events, refresh);
      } catch (error) {
        const why = isClientError(error) ? error : clientError('network_error', { cause: error });
        if (!isClosed) events.closed({ code: NO_CODE, error: why });
      }
    };
    void find();
    return {
      send: (frame) => line?.send(frame),
      probe: () => line?.probe(),
      close: () => {
        isClosed = true;
        line?.close();
      },
    };
  }

  /** Hears from now on of other tabs that their caller has changed. */
  listen(): void {
    if (this.#channel) return;
    this.#channel = this.#ports.channel(this.#all);
    this.#channel.addEventListener('message', ({ data }) => {
      // A name where it is known; who is known to be somebody else goes on.
      if (data === null || this.#name === undefined || data === this.#name) this.#renewed();
    });
  }

  /** Tells the other tabs that the caller has changed. */
  tellRenewed(): void {
    // eslint-disable-next-line unicorn/require-post-message-target-origin -- a BroadcastChannel is of one origin
    this.#channel?.postMessage(this.#name ?? null);
  }

  /** The page is left: nothing is heard and nothing is held. */
  end(): void {
    this.leave();
    this.#channel?.close();
    this.#channel = undefined;
  }

  /** Another tab may lead. */
  leave(): void {
    this.#group?.leave();
    this.#group = undefined;
    this.#name = undefined;
  }

  #nameFor(token: string | null): Promise<string> {
    return groupName(this.#settings.realtimeUrl, token);
  }

  #groupOf(name: string): TabGroup {
    if (this.#group && this.#name === name) return this.#group;
    this.leave();
    const settings = {
      ...this.#settings,
      token: (request: { refresh: boolean }) => this.#tokenIn(name, request),
    };
    const group = new TabGroup(
      name,
      this.#ports,
      (events, refresh) => new SocketLine(settings, events, refresh),
    );
    this.#name = name;
    this.#group = group;
    return group;
  }

  /** A token for the socket of a group; somebody else’s token is not shown there, as others read along. */
  async #tokenIn(name: string, { refresh }: { readonly refresh: boolean }): Promise<string | null> {
    const token = await tokenOf(this.#settings, refresh);
    if ((await this.#nameFor(token)) === name) return token;
    if (this.#name === name) this.leave();
    throw clientError('token_failed');
  }
}
