/** One subscription on streams of its own: one after the other, each from where the one before stood. */
import type { EventSourceMessage } from 'eventsource-parser';
import type { ServerFrame, SubFrame } from '../../protocol/frames.js';
import { NO_CODE } from '../socket/line.js';
import type { Refusal } from './refusals.js';
import { readStream, type StreamRequest } from './stream.js';

interface Place extends Pick<StreamRequest, 'url' | 'fetch' | 'credentials'> {
  /** The one to show now. */
  token(): string | undefined;
}

interface SubscriptionEvents {
  /** With the id and the channel of the line. */
  frame(frame: ServerFrame): void;
  welcome(frame: Extract<ServerFrame, { t: 'welcome' }>): void;
  refused(refusal: Refusal): void;
  /** The server has ended it, and has said so. */
  over(): void;
  /** @param code why, as a close code */
  lost(code: number): void;
}

export class Subscription {
  readonly #ch: number;
  readonly #place: Place;
  readonly #events: SubscriptionEvents;
  #wanted: SubFrame;
  /** Of the last event that had one; empty where the server took it back. */
  #lastId = '';
  /** Of the stream that is read. */
  #stream = new AbortController();
  #isOver = false;
  /** A fresh token waits until the subscription is live: half a snapshot cannot be gone on from. */
  #renewsWhenLive = false;
  #isRenewing = false;
  /** What the last frames said of the stream’s end. */
  #told: 'over' | 'again' | undefined;
  #code = NO_CODE;
  /** When something came, ms since 1970. */
  heardAt = Date.now();

  constructor(frame: SubFrame, ch: number, place: Place, events: SubscriptionEvents) {
    this.#wanted = frame;
    this.#ch = ch;
    this.#place = place;
    this.#events = events;
  }

  /** Reads until it is over. */
  async follow(): Promise<void> {
    while (!this.#isOver) {
      this.#stream = new AbortController();
      this.#told = undefined;
      this.#isRenewing = false;
      this.heardAt = Date.now();
      // A stream that breaks off has come to its end like any other.
      const refusal = await this.#read().catch(() => undefined);
      if (this.#isOver || this.#isRenewing || this.#told === 'again') continue;
      this.#isOver = true;
      if (refusal) this.#events.refused(refusal);
      else if (this.#told === 'over') this.#events.over();
      else this.#events.lost(this.#code);
    }
  }

  /** Goes on with a fresh token. */
  renew(): void {
    if (this.#lastId === '') this.#renewsWhenLive = true;
    else {
      this.#isRenewing = true;
      this.#stream.abort();
    }
  }

  end(): void {
    this.#isOver = true;
    this.#stream.abort();
  }

  #read(): Promise<Refusal | undefined> {
    const { url, fetch, credentials, token } = this.#place;
    const shown = token();
    return readStream({
      url: `${url}?${queryOf(this.#wanted)}`,
      fetch,
      credentials,
      headers: {
        ...(shown === undefined ? {} : { authorization: `Bearer ${shown}` }),
        ...(this.#lastId === '' ? {} : { 'last-event-id': this.#lastId }),
      },
      signal: this.#stream.signal,
      heard: () => {
        this.heardAt = Date.now();
      },
      event: (event) => this.#receive(event),
    });
  }

  #receive({ id, data }: EventSourceMessage): void {
    if (this.#isOver || this.#isRenewing) return;
    if (id !== undefined) this.#lastId = id;
    const frame = JSON.parse(data) as ServerFrame; // what the contract of the socket says
    if (frame.t === 'welcome') return this.#events.welcome(frame);
    this.#note(frame);
    this.#events.frame(this.#ofTheLine(frame));
    if (frame.t !== 'live' || !this.#renewsWhenLive) return;
    this.#renewsWhenLive = false;
    this.renew();
  }

  /** What a frame says of the stream, beside what it says to the client. */
  #note(frame: ServerFrame): void {
    if (frame.t === 'bye') this.#code = frame.code;
    else if (frame.t === 'unsubbed' || frame.t === 'err') this.#told = 'over';
    else if (frame.t === 'reset') {
      // Nothing that was known of the log holds, and of other rights there are other streams.
      const { from: _, ...anew } = this.#wanted;
      this.#wanted = anew;
      if (frame.reason === 'rights_changed') this.#told = 'again';
    }
  }

  #ofTheLine(frame: ServerFrame): ServerFrame {
    const named = 'id' in frame ? { ...frame, id: this.#wanted.id } : frame;
    return 'ch' in named ? { ...named, ch: this.#ch } : named;
  }
}

/** `where` and a position as JSON, everything else as it is. */
function queryOf(frame: SubFrame): string {
  const { t: _, id: __, ...wanted } = frame;
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(wanted))
    query.append(name, typeof value === 'object' ? JSON.stringify(value) : String(value));
  return query.toString();
}
