/** Lines that are shared with other tabs of the same caller; who that is, the token says. */
import { clientError, isClientError } from '../errors.js';
import { tokenOf } from '../http/calls.js';
import { NO_CODE, type Line, type LineEvents } from '../socket/line.js';
import { SocketLine, type LineSettings } from '../socket/socket-line.js';
import type { TabPorts } from './browser.js';
import { TabGroup } from './group.js';
import { groupName } from './identity.js';

export class TabLines {
  readonly #settings: LineSettings;
  readonly #ports: TabPorts;
  #name: string | undefined;
  #group: TabGroup | undefined;

  constructor(settings: LineSettings, ports: TabPorts) {
    this.#settings = settings;
    this.#ports = ports;
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
