/** Whether the next connection is a WebSocket or streams: what got through before says so. */
import type { SocketConstructor, SocketLike } from '../options.js';
import type { SseOptions, SseSettings } from './settings.js';
import { SseSocket } from './sse-socket.js';

/** WebSockets in a row that heard nothing, until streams are tried. */
const TRIES = 2;
/** A WebSocket that has heard nothing for so long won’t: some proxies swallow what they don’t know. */
const SILENT_MS = 8_000;
/** Close codes from here on are the gateway’s. */
const OF_TIDEMARK = 4_000;
const RETRY_SOCKET_MS = 600_000;
const MAX_STREAMS = 4;

/** As much as the fallback needs of its surroundings. */
interface Surroundings {
  readonly fetch: typeof fetch;
  readonly WebSocket?: SocketConstructor;
}

export class SocketChoice {
  readonly #WebSocket: SocketConstructor | undefined;
  readonly #settings: SseSettings;
  readonly #retrySocketMs: number;
  #failures = 0;

  constructor(options: SseOptions) {
    const around = globalThis as Surroundings;
    this.#WebSocket = (options.WebSocket === undefined ? around.WebSocket : options.WebSocket) ?? undefined;
    this.#retrySocketMs = options.retrySocketMs ?? RETRY_SOCKET_MS;
    this.#settings = {
      fetch: options.fetch ?? ((input, init) => around.fetch(input, init)),
      credentials: options.credentials ?? 'same-origin',
      maxStreams: options.maxStreams ?? MAX_STREAMS,
    };
  }

  open(url: string, protocol: string): SocketLike {
    const Socket = this.#WebSocket;
    if (Socket && this.#failures < TRIES) {
      return judged(new Socket(url, protocol), (passes) => {
        this.#failures = passes ? 0 : this.#failures + 1;
      });
    }
    const streams = new SseSocket(url, this.#settings);
    if (Socket) this.#watch(streams, () => judged(new Socket(url, protocol), probed));
    const probed = (passes: boolean, probe: SocketLike): void => {
      probe.close();
      if (!passes) return;
      this.#failures = 0;
      streams.leave();
    };
    return streams;
  }

  /** Streams that get through are kept to, with a look now and then at whether a WebSocket would. */
  #watch(streams: SseSocket, probe: () => void): void {
    let timer: ReturnType<typeof setInterval> | undefined;
    streams.onWelcome = () => {
      timer = setInterval(probe, this.#retrySocketMs);
      // At once, too: a server that was away refuses both.
      probe();
    };
    streams.addEventListener('close', () => {
      // Nothing got through: one more WebSocket, and so on in turns.
      if (timer === undefined) this.#failures = TRIES - 1;
      clearInterval(timer);
    });
  }
}

/** @param tell told once whether the socket got through: something came, before it ended or was silent for too long */
function judged(socket: SocketLike, tell: (passes: boolean, socket: SocketLike) => void): SocketLike {
  let isJudged = false;
  const judge = (passes: boolean): void => {
    clearTimeout(timer);
    if (isJudged) return;
    isJudged = true;
    tell(passes, socket);
  };
  const timer = setTimeout(() => {
    judge(false);
    socket.close();
  }, SILENT_MS);
  socket.addEventListener('message', () => judge(true));
  // A close follows.
  socket.addEventListener('error', () => undefined);
  socket.addEventListener('close', ({ code }) => judge(code >= OF_TIDEMARK));
  return socket;
}
