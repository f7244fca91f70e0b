/**
 * What looks like a WebSocket to the client, made of streams of server-sent events, one for each subscription: where the
 * network lets no socket through, everything above stays as it is. Frames are the same (docs/sse.md); here each stream’s
 * get ids and channels of the one line, and what a stream cannot do (a new token, an answer to a ping) is made up for.
 * A stream that fails is its subscription’s matter, as long as there is another one.
 */
import type { ClientFrame, ServerFrame, SocketErrorCode, SubFrame } from '../../protocol/frames.js';
import { CLIENT_ERRORS } from '../errors.js';
import type { SocketLike } from '../options.js';
import { EXPIRED, HEARTBEAT_MS, LEAVES, MOVED, NO_CODE, NOBODY, TOO_MANY } from '../socket/line.js';
import { closeCodeOf, errorCodeOf, type Refusal } from './refusals.js';
import type { SseSettings } from './settings.js';
import { Subscription, type Loss } from './subscription.js';

/** Nobody, or one whose token is over, has no stream at all; a server that stops ends every one. */
const OF_ALL: ReadonlySet<number> = new Set([NOBODY, EXPIRED, LEAVES]);
/** Of a heartbeat: without a byte for so long a stream is dead; and when somebody asks. */
const DEAD_AFTER = 2.5;
const DOUBTED_AFTER = 1.5;
/** What is believed of a `Retry-After`, ms. */
const LATER_MS = { min: 1_000, max: 60_000 };

interface Listeners {
  readonly open: Set<() => void>;
  readonly error: Set<() => void>;
  readonly message: Set<(event: { readonly data: unknown }) => void>;
  readonly close: Set<(event: { readonly code: number }) => void>;
}

interface SseEvents {
  /** A gateway has answered. */
  welcome(): void;
  /** It ended, and not because it was closed. @param isHeard a gateway was heard of, be it with a refusal */
  lost(isHeard: boolean): void;
  /** Whatever it ended by. */
  closed(): void;
}

/** `ws://host/realtime` → `http://host/realtime/sse`. */
function streamsAt(text: string): URL {
  const url = new URL(text.replace(/^ws/, 'http'));
  url.pathname = `${url.pathname.replace(/\/$/, '')}/sse`;
  return url;
}

function later({ retryAfterMs }: Refusal): number | undefined {
  if (retryAfterMs === undefined) return undefined;
  const { min, max } = LATER_MS;
  // Not together with all the others who were told the same.
  return Math.min(max, Math.max(min, retryAfterMs)) * (1 + Math.random() / 4);
}

export class SseSocket implements SocketLike {
  readonly #url: URL;
  readonly #settings: SseSettings;
  readonly #events: SseEvents;
  readonly #listeners: Listeners = {
    open: new Set(),
    error: new Set(),
    message: new Set(),
    close: new Set(),
  };
  readonly #subscriptions = new Map<string, Subscription>();
  #channels = 0;
  #token: string | undefined;
  #heartbeatMs = HEARTBEAT_MS;
  #watch: ReturnType<typeof setInterval> | undefined;
  #isWelcome = false;
  #isOver = false;

  constructor(url: string, settings: SseSettings, events: SseEvents) {
    this.#url = streamsAt(url);
    this.#settings = settings;
    this.#events = events;
    // There is nothing to connect before somebody subscribes.
    queueMicrotask(() => {
      if (this.#isOver) return;
      this.#watchEvery(HEARTBEAT_MS);
      for (const listener of this.#listeners.open) listener();
    });
  }

  addEventListener(type: keyof Listeners, listener: (event: never) => void): void {
    (this.#listeners[type] as Set<typeof listener>).add(listener);
  }

  send(data: string): void {
    if (this.#isOver) return;
    const frame = JSON.parse(data) as ClientFrame; // the client’s own
    switch (frame.t) {
      case 'auth':
        this.#token = frame.token;
        for (const one of this.#subscriptions.values()) one.renew();
        return;
      case 'sub':
        return this.#subscribe(frame);
      case 'unsub':
        this.#subscriptions.get(frame.id)?.end();
        this.#subscriptions.delete(frame.id);
        return;
      case 'ping':
        this.#endSilent(DOUBTED_AFTER);
        // As an answer comes, which is after the question.
        queueMicrotask(() => this.#tell({ t: 'pong' }));
    }
  }

  close(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    clearInterval(this.#watch);
    for (const one of this.#subscriptions.values()) one.end();
    this.#subscriptions.clear();
    this.#events.closed();
  }

  /** Something better is there: whoever listens shall come back now. */
  leave(): void {
    this.#lose(MOVED.code, MOVED.reconnectInMs);
  }

  #lose(code: number, reconnectInMs?: number, isHeard = this.#isWelcome): void {
    if (this.#isOver) return;
    if (reconnectInMs !== undefined) this.#tell({ t: 'bye', code, reconnectInMs });
    this.close();
    this.#events.lost(isHeard);
    for (const listener of this.#listeners.close) listener({ code });
  }

  #subscribe(frame: SubFrame): void {
    const { id } = frame;
    if (this.#subscriptions.size >= this.#settings.maxStreams) {
      const message = 'There are as many streams as there may be; see `maxStreams`.';
      queueMicrotask(() => this.#err('too_many_subscriptions', message, id));
      return;
    }
    const { fetch, credentials } = this.#settings;
    const place = { url: this.#url, fetch, credentials, token: (): string | undefined => this.#token };
    const one = new Subscription(frame, ++this.#channels, place, {
      welcome: (told) => this.#welcome(told),
      frame: (told) => this.#tell(told),
      over: () => void this.#subscriptions.delete(id),
      lost: (loss) => this.#lost(id, loss),
    });
    this.#subscriptions.set(id, one);
  }

  /** The first stream speaks for all. */
  #welcome(frame: Extract<ServerFrame, { t: 'welcome' }>): void {
    if (this.#isWelcome) return;
    this.#isWelcome = true;
    this.#watchEvery(frame.heartbeatMs);
    this.#tell(frame);
    this.#events.welcome();
  }

  #lost(id: string, loss: Loss): void {
    this.#subscriptions.delete(id);
    const { refusal } = loss;
    const own = refusal && errorCodeOf(refusal);
    if (refusal && own !== undefined) return this.#err(own, refusal.message, id);
    const code = closeCodeOf(refusal?.code) ?? loss.code;
    const message = refusal?.message ?? CLIENT_ERRORS.network_error;
    if (!OF_ALL.has(code) && this.#subscriptions.size > 0)
      return this.#err(code === TOO_MANY ? 'too_many_subscriptions' : 'unavailable', message, id);
    if (refusal) this.#err(refusal.code ?? 'bad_answer', message);
    else if (loss.isUnreached) this.#err('network_error', message);
    const isHeard = this.#isWelcome || refusal?.code !== undefined;
    this.#lose(code, loss.reconnectInMs ?? (refusal && later(refusal)), isHeard);
  }

  /** @param code of the socket, of HTTP or of the client: all of them are told alike */
  #err(code: string, message: string, id?: string): void {
    this.#tell({ t: 'err', ...(id === undefined ? {} : { id }), code: code as SocketErrorCode, message });
  }

  #tell(frame: ServerFrame): void {
    if (this.#isOver) return;
    const data = JSON.stringify(frame);
    for (const listener of this.#listeners.message) {
      try {
        listener({ data });
      } catch (error) {
        // Of whoever looks at the rows: told as one in a socket’s listener is, and no reason to end a stream.
        queueMicrotask(() => {
          throw error;
        });
      }
    }
  }

  #watchEvery(ms: number): void {
    this.#heartbeatMs = ms;
    clearInterval(this.#watch);
    this.#watch = setInterval(() => this.#endSilent(DEAD_AFTER), ms);
  }

  /** Ends streams that have been silent for so many heartbeats: after hours of sleep, too. */
  #endSilent(heartbeats: number): void {
    const since = Date.now() - heartbeats * this.#heartbeatMs;
    for (const [id, one] of [...this.#subscriptions]) {
      if (one.heardAt >= since || this.#isOver) continue;
      // Where nobody was heard yet, it is the way there that is shut, and another one has its turn.
      if (!this.#isWelcome) return this.#lose(NO_CODE);
      one.end();
      this.#lost(id, { code: NO_CODE });
    }
  }
}
