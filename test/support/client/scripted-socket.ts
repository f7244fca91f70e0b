/** The server’s end of the client’s sockets, in a test’s hands: what was sent is read, what comes is said. */
import type { SocketConstructor, SocketLike } from 'tidemark/client';
import type { ClientFrame, ServerFrame, SubFrame } from '../../../src/protocol/frames.js';

type Listener = (event: { readonly data: unknown; readonly code: number }) => void;

class ScriptedSocket implements SocketLike {
  readonly url: string;
  readonly protocol: string;
  readonly sent: ClientFrame[] = [];
  /** What the client closed it with. */
  closedWith: number | undefined;
  isOver = false;
  readonly #listeners = new Map<string, Listener[]>();

  constructor(url: string, protocol: string) {
    this.url = url;
    this.protocol = protocol;
  }

  send(data: string): void {
    if (this.isOver) throw new Error('sent on a socket that is closed');
    this.sent.push(JSON.parse(data) as ClientFrame);
  }

  close(code = 1005): void {
    this.closedWith ??= code;
    this.isOver = true;
  }

  addEventListener(type: string, listener: Listener): void {
    this.#listeners.set(type, [...(this.#listeners.get(type) ?? []), listener]);
  }

  /** The connection is there. */
  accept(): this {
    this.#fire('open', { data: undefined, code: 0 });
    this.say({
      t: 'welcome',
      session: 's',
      heartbeatMs: 15_000,
      limits: { maxSubscriptions: 128, maxFrameBytes: 16_384, maxSnapshotRows: 10_000 },
    });
    return this;
  }

  say(...frames: readonly ServerFrame[]): void {
    for (const frame of frames) this.#fire('message', { data: JSON.stringify(frame), code: 0 });
  }

  /** Ends it from the server’s side. */
  drop(code = 1006): void {
    this.isOver = true;
    this.#fire('close', { data: undefined, code });
  }

  /** The subscriptions asked for, in their order. */
  get subs(): readonly SubFrame[] {
    return this.sent.filter((frame) => frame.t === 'sub');
  }

  /** The last subscription asked for. @throws Error when there is none */
  get sub(): SubFrame {
    const last = this.subs.at(-1);
    if (!last) throw new Error('nothing was subscribed to');
    return last;
  }

  #fire(type: string, event: { readonly data: unknown; readonly code: number }): void {
    for (const listener of this.#listeners.get(type) ?? []) listener(event);
  }
}

export interface Script {
  readonly WebSocket: SocketConstructor;
  /** Every socket that the client opened. */
  readonly sockets: readonly ScriptedSocket[];
  /** The last one. @throws Error when there is none */
  socket(): ScriptedSocket;
}

export function script(): Script {
  const sockets: ScriptedSocket[] = [];
  return {
    sockets,
    WebSocket: class extends ScriptedSocket {
      constructor(url: string, protocol: string) {
        super(url, protocol);
        sockets.push(this);
      }
    },
    socket() {
      const last = sockets.at(-1);
      if (!last) throw new Error('no socket was opened');
      return last;
    },
  };
}
