/** Whether the next connection is a WebSocket or streams: what got through before says so. */
import { LONGEST_TIMER_MS } from '../backoff.js';
import { fetchFrom, type SocketConstructor, type SocketLike, type Surroundings } from '../options.js';
import { Judged } from './judged.js';
import type { SseOptions, SseSettings } from './settings.js';
import { SseSocket } from './sse-socket.js';

/** WebSockets in a row that heard nothing, until streams are tried. */
const TRIES = 2;
const RETRY_SOCKET_MS = 600_000;
const MAX_STREAMS = 4;

export class SocketChoice {
  readonly #WebSocket: SocketConstructor | undefined;
  readonly #settings: SseSettings;
  readonly #retrySocketMs: number;
  #failures = 0;

  constructor(options: SseOptions) {
    const around = globalThis as Surroundings;
    this.#WebSocket = (options.WebSocket === undefined ? around.WebSocket : options.WebSocket) ?? undefined;
    this.#retrySocketMs = Math.min(options.retrySocketMs ?? RETRY_SOCKET_MS, LONGEST_TIMER_MS);
    this.#settings = {
      fetch: fetchFrom(options.fetch),
      credentials: options.credentials ?? 'same-origin',
      maxStreams: options.maxStreams ?? MAX_STREAMS,
    };
  }

  open(url: string, protocol: string): SocketLike {
    if (this.#failures < TRIES) {
      const socket = this.#tried(url, protocol, (passes) => {
        this.#failures = passes ? 0 : this.#failures + 1;
      });
      if (socket) return socket;
      this.#failures = TRIES;
    }
    return this.#streams(url, protocol);
  }

  /** @returns undefined where there is none, or the constructor throws, as where a policy forbids it */
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
      closed: () => {
        clearInterval(timer);
        probe?.close();
      },
    });
    return streams;
  }
}
