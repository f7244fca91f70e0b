/** What a client can be told, and what it takes from its surroundings where it is not. */
import { clientError } from './errors.js';

/** Why a token is asked for. */
export interface TokenRequest {
  /** The one before was refused, or ends soon: give a new one. */
  readonly refresh: boolean;
}
/** Gives what `Authorization: Bearer` and the socket’s `auth` frame carry; null for a caller without one. */
export type TokenSource = (request: TokenRequest) => string | null | Promise<string | null>;

/** As much of a WebSocket as the client uses. */
export interface SocketLike {
  send(data: string): void;
  close(code?: number, reason?: string): void;
  addEventListener(type: 'open' | 'error', listener: () => void): void;
  addEventListener(type: 'message', listener: (event: { readonly data: unknown }) => void): void;
  addEventListener(type: 'close', listener: (event: { readonly code: number }) => void): void;
}
export type SocketConstructor = new (url: string, protocol: string) => SocketLike;

export interface ClientOptions {
  /** Where HTTP is, `https://shop.example` or a path on the page’s own host; the page’s own host unless told otherwise. */
  readonly url?: string;
  /** Where the socket is: `wss://shop.example/realtime`. Unless told otherwise `url` with `ws` for `http`, and `/realtime`. */
  readonly realtimeUrl?: string;
  /** Left out: no token is shown (rights are off, or a cookie has it). Asked for each call and each connection. */
  readonly token?: TokenSource;
  /** The `fetch` to use. */
  readonly fetch?: typeof fetch;
  /** Whether calls to another host carry cookies: `include` where they do; `same-origin`. */
  readonly credentials?: 'include' | 'omit' | 'same-origin';
  /** The WebSocket to use; Node 20 has none: pass the one of `ws`. */
  readonly WebSocket?: SocketConstructor;
  /** One try of a call, in ms; 30,000. */
  readonly timeoutMs?: number;
  /** Tries of a call in all; 8, which is about half a minute where there is no answer. */
  readonly attempts?: number;
  /** The first and the longest wait between tries and between connections, in ms before jitter; 250 and 15,000. */
  readonly backoff?: { readonly minMs?: number; readonly maxMs?: number };
  /** How long a subscription is kept after the last who used it, in ms; 1,000. */
  readonly lingerMs?: number;
  /** Whether tabs share one connection where the browser can: those whose tokens make the same claims do; true. */
  readonly shareTabs?: boolean;
  /** When listeners are told of changes; at the end of the frame that brought them (a microtask) unless told otherwise. */
  readonly schedule?: (flush: () => void) => void;
}

export interface Settings {
  readonly url: string;
  readonly realtimeUrl: string;
  readonly token: TokenSource | undefined;
  readonly fetch: typeof fetch;
  readonly credentials: 'include' | 'omit' | 'same-origin';
  readonly WebSocket: SocketConstructor | undefined;
  readonly timeoutMs: number;
  readonly attempts: number;
  readonly backoff: { readonly minMs: number; readonly maxMs: number };
  readonly lingerMs: number;
  readonly shareTabs: boolean;
  readonly schedule: (flush: () => void) => void;
}

/** What a browser has and Node may not. */
export interface Surroundings {
  readonly fetch: typeof fetch;
  readonly location?: { readonly href: string };
  readonly WebSocket?: SocketConstructor;
}

/** @throws ClientError `no_url` for a relative URL where there is no page */
function absolute(url: string, { location }: Surroundings): string {
  try {
    return new URL(url, location?.href).href.replace(/\/+$/, '');
  } catch (cause) {
    throw clientError('no_url', { cause });
  }
}

/** Called by itself, whatever it is kept in: a browser’s own is of its window and of no other object. */
export const fetchFrom =
  (own: typeof fetch | undefined): typeof fetch =>
  (input, init) =>
    own ? own(input, init) : (globalThis as Surroundings).fetch(input, init);

/** @throws ClientError `no_url` */
export function settingsFrom(options: ClientOptions): Settings {
  // `WebSocket` and `location` are of browsers, of which this package’s types know nothing.
  const around = globalThis as Surroundings;
  const url = absolute(options.url ?? '/', around);
  const realtimeUrl = absolute(options.realtimeUrl ?? `${url}/realtime`, around).replace(/^http/, 'ws');
  return {
    url,
    realtimeUrl,
    token: options.token,
    fetch: fetchFrom(options.fetch),
    credentials: options.credentials ?? 'same-origin',
    WebSocket: options.WebSocket ?? around.WebSocket,
    timeoutMs: options.timeoutMs ?? 30_000,
    attempts: options.attempts ?? 8,
    backoff: { minMs: options.backoff?.minMs ?? 250, maxMs: options.backoff?.maxMs ?? 15_000 },
    lingerMs: options.lingerMs ?? 1_000,
    shareTabs: options.shareTabs ?? true,
    schedule: options.schedule ?? ((flush) => queueMicrotask(flush)),
  };
}
