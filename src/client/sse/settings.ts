/** What the fallback can be told. */
import type { SocketConstructor } from '../options.js';

export interface SseOptions {
  /** The WebSocket that is tried first; the surroundings’. Where there is none (Node 20, or null), streams are all there is. */
  readonly WebSocket?: SocketConstructor | null;
  /** The `fetch` that opens streams; the surroundings’. */
  readonly fetch?: typeof fetch;
  /** Whether streams of another host carry cookies: `include` where they do; `same-origin`. */
  readonly credentials?: 'include' | 'omit' | 'same-origin';
  /**
   * Streams at once, one for each subscription; 4. Over HTTP/1.1 a browser has six connections to a host, for all of its
   * tabs and for the calls; where the gateway is reached by HTTP/2, as many as it allows may be open.
   */
  readonly maxStreams?: number;
  /** How long after the first byte of a stream, and again and again, a WebSocket is tried anew, in ms; 600,000. */
  readonly retrySocketMs?: number;
}

export interface SseSettings {
  readonly fetch: typeof fetch;
  readonly credentials: 'include' | 'omit' | 'same-origin';
  readonly maxStreams: number;
}
