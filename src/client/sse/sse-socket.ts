/**
 * What looks like a WebSocket to the client, made of streams of server-sent events, one for each subscription: where the
 * network lets no socket through, everything above stays as it is. Frames are the same (docs/sse.md); here each stream’s
 * get ids and channels of the one line, and what a stream cannot do (a new token, an answer to a ping) is made up for.
 */
import type { ClientFrame, ServerFrame, SubFrame } from '../../protocol/frames.js';
import type { SocketLike } from '../options.js';
import { MOVED, NO_CODE } from '../socket/line.js';
import { closeCodeOf, errorCodeOf, TOO_MANY, type Refusal } from './refusals.js';
import type { SseSettings } from './settings.js';
import { Subscription } from './subscription.js';

const HEARTBEAT_MS = 15_000;
/** Of a heartbeat: without a byte for so long a stream is dead; and when somebody asks. */
const DEAD_AFTER = 2.5;
const DOUBTED_AFTER = 1.5;

interface Listeners {
  readonly open: Set<() => void>;
  readonly error: Set<() => void>;
  readonly message: Set<(event: { readonly data: unknown }) => void>;
  readonly close: Set<(event: { readonly code: number }) => void>;
}

/** `ws://host/realtime` → `http://host/realtime/sse`. */
function streamsAt(url: string): string {
  const { protocol, host, pathname } = new URL(url);
  return `${protocol === 'wss:' ? 'https:' : 'http:'}//${host}${pathname.replace(/\/$/, '')}/sse`;
}

export class SseSocket implements SocketLike {
  readonly #url: string;
  readonly #settings: SseSettings;
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
  /** Called once a gateway has answered. */
  onWelcome: (() => void) | undefined;
  #isOver = false;

  constructor(url: string, settings: SseSettings) {
    this.#url = streamsAt(url);
    this.#settings = settings;
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
        if (this.#isAlive(DOUBTED_AFTER)) this.#tell({ t: 'pong' });
    }
  }

  /** The default is what a line that was cut has. */
  close(code: number = NO_CODE): void {
    if (this.#isOver) return;
    this.#isOver = true;
    clearInterval(this.#watch);
    for (const one of this.#subscriptions.values()) one.end();
    this.#subscriptions.clear();
    for (const listener of this.#listeners.close) listener({ code });
  }

  /** Something better is there: whoever listens shall come back now. */
  leave(): void {
    this.#tell({ t: 'bye', ...MOVED });
    this.close(MOVED.code);
  }

  #subscribe(frame: SubFrame): void {
    const { id } = frame;
    if (this.#subscriptions.size >= this.#settings.maxStreams) {
      const message = 'There are as many streams as there may be; see `maxStreams`.';
      return this.#tell({ t: 'err', id, code: 'too_many_subscriptions', message });
    }
    const ch = ++this.#channels;
    const events = {
      frame: (text: ServerFrame): void => this.#tell(text),
      welcome: (told: Extract<ServerFrame, { t: 'welcome' }>): void => this.#welcome(told),
      refused: (refusal: Refusal): void => this.#refused(id, refusal),
      over: (): void => void this.#subscriptions.delete(id),
      lost: (code: number): void => this.close(code),
    };
    const request = { ...this.#settings, url: this.#url, token: (): string | undefined => this.#token };
    const one = new Subscription(frame, ch, request, events);
    this.#subscriptions.set(id, one);
    void one.follow();
  }

  /** The first stream speaks for all. */
  #welcome(frame: Extract<ServerFrame, { t: 'welcome' }>): void {
    if (this.#isWelcome) return;
    this.#isWelcome = true;
    this.#watchEvery(frame.heartbeatMs);
    this.#tell(frame);
    this.onWelcome?.();
  }

  #refused(id: string, refusal: Refusal): void {
    this.#subscriptions.delete(id);
    const { message, retryAfterMs } = refusal;
    const own = errorCodeOf(refusal);
    if (own !== undefined) return this.#err(own, message, id);
    // As many as the caller may have are no reason to end those that it has.
    const code = closeCodeOf(refusal.code) ?? NO_CODE;
    if (code === TOO_MANY && this.#subscriptions.size > 0)
      return this.#err('too_many_subscriptions', message, id);
    this.#err(refusal.code ?? 'bad_answer', message);
    if (retryAfterMs !== undefined)
      this.#tell({ t: 'bye', code, reconnectInMs: retryAfterMs * (1 + Math.random() / 4) });
    this.close(code);
  }

  /** Codes of HTTP go further than those of the socket. */
  #err(code: string, message: string, id?: string): void {
    this.#tell({ t: 'err', ...(id === undefined ? {} : { id }), code, message } as ServerFrame);
  }

  #tell(frame: ServerFrame): void {
    if (this.#isOver) return;
    const data = JSON.stringify(frame);
    for (const listener of this.#listeners.message) listener({ data });
  }

  #watchEvery(ms: number): void {
    this.#heartbeatMs = ms;
    clearInterval(this.#watch);
    this.#watch = setInterval(() => this.#isAlive(DEAD_AFTER), ms);
  }

  /** Ends it where a stream has been silent for so many heartbeats: after hours of sleep, too. */
  #isAlive(heartbeats: number): boolean {
    const since = Date.now() - heartbeats * this.#heartbeatMs;
    for (const { heardAt } of this.#subscriptions.values()) {
      if (heardAt >= since) continue;
      this.close();
      return false;
    }
    return true;
  }
}
