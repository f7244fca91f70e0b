/** Whether the next connection is a WebSocket or streams: what got through before says so. */
import type { SocketConstructor, SocketLike } from '../options.js';
import { Judged } from './judged.js';
import type { SseOptions, SseSettings } from './settings.js';
import { SseSocket } from './sse-socket.js';

/** WebSockets in a row that heard nothing, until streams are tried. */
const TRIES = 2;
const RETRY_SOCKET_MS = 600_000;
const LONGEST_TIMER_MS = 2 ** 31 - 1;
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
    const { fetch: own } = options;
    this.#WebSocket = (options.WebSocket === undefined ? around.WebSocket : options.WebSocket) ?? undefined;
    this.#retrySocketMs = Math.min(options.retrySocketMs ?? RETRY_SOCKET_MS, LONGEST_TIMER_MS);
    this.#settings = {
      fetch: own ?? ((input, init) => around.fetch(input, init)),
      credentials: options.credentials ?? 'same-origin',
      maxStreams: options.maxStreams ?? MAX_STREAMS,
    };
  }

  open(url: string, protocol: string): SocketLike {
    if (this.#WebSocket && this.#failures < TRIES) {
      const socket = this.#tried(url, protocol, (passes) => {
        this.#failures = passes ? 0 : this.#failures + 1;
      });
      if (socket) return socket;
      this.#failures = TRIES;
    }
    return this.#streams(url, protocol);
  }

  /** @returns undefined where the constructor throws, as where a policy forbids it */
  #tried(url: string, protocol: string, tell: (passes: boolean) => void): Judged | undefined {
    if (!this.#WebSocket) return undefined;
    try {
      return new Judged(new this.#WebSocket(url, protocol), tell);
    } catch {
      return undefined;
    }
  }

  /** Streams that get through are kept to, with a look now and then at whether a WebSocket would. */
  #streams(url: string, protocol: string): SocketLike {
    let timer: ReturnType<typeof setInterval> | undefined;
    let probe: Judged | undefined;
    const look = (): void => {
      probe ??= this.#tried(url, protocol, (passes) => {
        probe?.close();
        probe = undefined;
        if (!passes) return;
        this.#failures = 0;
        streams.leave();
      });
    };
    const end = (): void => {
      clearInterval(timer);
      probe?.close();
    };
    const streams = new SseSocket(url, this.#settings, {
      welcome: () => {
        timer = setInterval(look, this.#retrySocketMs);
        // At once, too: a server that was away refuses both.
        look();
      },
      lost: (isHeard) => {
        // Nothing got through: one more WebSocket, and so on in turns.
        if (!isHeard) this.#failures = TRIES - 1;
      },
      closed: end,
    });
    return streams;
  }
}
