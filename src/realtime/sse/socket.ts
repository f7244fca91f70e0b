/**
 * A stream of server-sent events as a socket that the session runs on: it only ever hears what the server says, and has one
 * subscription. Where it stands goes along as `id:`, so that a browser that comes back goes on from there.
 */
import { CLOSE_CODES, type ServerFrame } from '../../protocol/frames.js';
import { encodeFrame } from '../encoding.js';
import { HEARTBEAT_TOPIC } from '../session.js';
import type { ByteStream } from '../sockets/byte-stream.js';
import type { SendResult, Socket } from '../sockets/port.js';
import { encodeEvent, frameName, type EventFields } from './events.js';
import type { Cursors, Place } from './places.js';
import type { Member, StreamTopics } from './topics.js';

type Bye = Extract<ServerFrame, { t: 'bye' }>;

export interface SseSocketOptions {
  readonly stream: ByteStream;
  readonly topics: StreamTopics;
  readonly cursors: Cursors;
  /** Where the client said that it stands. */
  readonly from: Place | undefined;
  /** When the client is to come back after the stream has ended, unless more is known, ms. */
  readonly retryMs: number;
}

/** Errors that are gone by themselves; after others a client that knows no better shall not come back at once. */
const PASSING = /"code":"(unavailable|projection_building)"/;
const LATER_FACTOR = 30;
const RIGHTS_CHANGED = /"reason":"rights_changed"/;

/** As a WebSocket has them (RFC 6455): the client went away without a word; all was said. */
const CLIENT_GONE = 1006;
const DONE = 1000;

export class SseSocket implements Socket, Member {
  readonly cursors: Cursors;
  readonly #options: SseSocketOptions;
  readonly #topics = new Set<string>();
  #place: Place | undefined;
  /** The client knows why the stream ends. */
  #told = false;
  #open = true;
  #code: number = CLIENT_GONE;

  constructor(options: SseSocketOptions) {
    this.#options = options;
    this.cursors = options.cursors;
    this.#place = options.from;
  }

  get remoteAddress(): string {
    return this.#options.stream.remoteAddress;
  }

  get open(): boolean {
    return this.#open;
  }

  send(text: string): SendResult {
    if (!this.#open) return 'dropped';
    const { retryMs } = this.#options;
    switch (frameName(text)) {
      case 'welcome':
        return this.#write(text, { retry: retryMs });
      case 'snap':
        this.#place = undefined;
        return this.#write(text);
      case 'live':
        this.#place = this.cursors.placeOf(text);
        return this.#write(text, { id: this.#cursor() });
      case 'chg':
        // What a window lacks may take several frames, and none but the last brings it to a place.
        if (this.cursors.ofWindow) return this.#write(text);
        this.#place?.advance(text);
        return this.#write(text, { id: this.#cursor() });
      case 'reset':
        this.#place = undefined;
        // Its cursors would be of other rights: it begins anew with a request of its own.
        if (RIGHTS_CHANGED.test(text)) return this.#last(text, { id: '' });
        return this.#write(text, { id: '' });
      case 'unsubbed':
        return this.#last(text, text.includes('"drop":true') ? { id: '' } : {});
      case 'err':
        return this.#last(text, { retry: PASSING.test(text) ? retryMs : retryMs * LATER_FACTOR });
      case 'bye':
        this.#told = true;
        return this.#write(text, { retry: (JSON.parse(text) as Bye).reconnectInMs });
      default:
        return this.#write(text);
    }
  }

  bufferedAmount(): number {
    return this.#options.stream.bufferedAmount();
  }

  subscribe(topic: string): void {
    if (!this.#open || this.#topics.has(topic)) return;
    this.#topics.add(topic);
    this.#options.topics.join(topic, this, topic === HEARTBEAT_TOPIC ? undefined : this.#place);
  }

  unsubscribe(topic: string): void {
    if (!this.#topics.delete(topic)) return;
    this.#place = this.#options.topics.leave(topic, this) ?? this.#place;
  }

  deliver(event: Buffer): void {
    this.#options.stream.write(event);
  }

  cork(work: () => void): void {
    this.#options.stream.cork(work);
  }

  end(code: number): void {
    if (!this.#open) return;
    const { stream, retryMs } = this.#options;
    this.#code = code;
    // Whoever does not read gets no last words: they would only wait behind the rest.
    if (code === CLOSE_CODES.slow_consumer.code) return stream.cut();
    if (!this.#told) this.send(encodeFrame({ t: 'bye', code, reconnectInMs: retryMs }));
    stream.end();
  }

  /** The code that it was ended with, as a WebSocket's close code. */
  get code(): number {
    return this.#code;
  }

  /** The stream is closed: nothing more is given to it. */
  closed(): void {
    if (!this.#open) return;
    this.#open = false;
    for (const topic of this.#topics) this.#options.topics.leave(topic, this);
    this.#topics.clear();
  }

  #write(text: string, fields?: EventFields): SendResult {
    return this.#options.stream.write(encodeEvent(text, fields));
  }

  /** With its one subscription the stream ends, once the session has done what it is at. */
  #last(text: string, fields: EventFields): SendResult {
    const result = this.#write(text, fields);
    this.#told = true;
    setImmediate(() => this.end(DONE));
    return result;
  }

  #cursor(): string | undefined {
    return this.#place && this.cursors.of(this.#place);
  }
}
