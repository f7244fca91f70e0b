/** A WebSocket of which is told once whether it got through: whether something came before it ended. */
import type { SocketLike } from '../options.js';
import { NO_CODE } from '../socket/line.js';

/** One that has heard nothing for so long won’t: some proxies swallow what they don’t know. */
const SILENT_MS = 8_000;
/** Close codes from here on are the gateway’s. */
const OF_TIDEMARK = 4_000;

type CloseListener = (event: { readonly code: number }) => void;

export class Judged implements SocketLike {
  readonly #socket: SocketLike;
  readonly #tell: (passes: boolean) => void;
  readonly #closeListeners = new Set<CloseListener>();
  readonly #timer: ReturnType<typeof setTimeout>;
  #isJudged = false;
  #isOver = false;

  constructor(socket: SocketLike, tell: (passes: boolean) => void) {
    this.#socket = socket;
    this.#tell = tell;
    this.#timer = setTimeout(() => {
      // The goodbye of one that does not listen would take longer still.
      this.#closed(NO_CODE);
      socket.close();
    }, SILENT_MS);
    socket.addEventListener('message', () => this.#judge(true));
    // A close follows.
    socket.addEventListener('error', () => undefined);
    socket.addEventListener('close', ({ code }) => this.#closed(code));
  }

  send(data: string): void {
    this.#socket.send(data);
  }

  /** Whoever closes it has found out nothing. */
  close(code?: number): void {
    this.#isJudged = true;
    this.#isOver = true;
    clearTimeout(this.#timer);
    this.#socket.close(code);
  }

  addEventListener(type: 'open' | 'error' | 'message' | 'close', listener: (event: never) => void): void {
    if (type === 'close') this.#closeListeners.add(listener as CloseListener);
    else this.#socket.addEventListener(type as 'message', listener as () => void);
  }

  #judge(passes: boolean): void {
    clearTimeout(this.#timer);
    if (this.#isJudged) return;
    this.#isJudged = true;
    this.#tell(passes);
  }

  #closed(code: number): void {
    this.#judge(code >= OF_TIDEMARK);
    if (this.#isOver) return;
    this.#isOver = true;
    for (const listener of this.#closeListeners) listener({ code });
  }
}
