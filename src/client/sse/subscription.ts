/** One subscription on streams of its own: one after the other, each from where the one before stood. */
import type { EventSourceMessage } from 'eventsource-parser';
import type { ServerFrame, SubFrame } from '../../protocol/frames.js';
import { isWindow } from '../live/request.js';
import { EXPIRED, NO_CODE } from '../socket/line.js';
import type { Refusal } from './refusals.js';
import { readStream, type StreamEnd, type StreamRequest } from './stream.js';

type Frame<T extends ServerFrame['t']> = Extract<ServerFrame, { readonly t: T }>;

interface Place extends Pick<StreamRequest, 'fetch' | 'credentials'> {
  readonly url: URL;
  /** The one to show now. */
  token(): string | undefined;
}

/** Why a subscription has no stream any more, and was told nothing of it. */
export interface Loss {
  /** As a close code. */
  readonly code: number;
  readonly reconnectInMs?: number | undefined;
  readonly refusal?: Refusal | undefined;
  /** There was no answer at all. */
  readonly isUnreached?: boolean;
}

interface SubscriptionEvents {
  welcome(frame: Frame<'welcome'>): void;
  /** With the id and the channel of the line. */
  frame(frame: ServerFrame): void;
  /** The server has ended it, and has said so. */
  over(): void;
  lost(loss: Loss): void;
}

/** One stream, and what it said of its end. */
class Run {
  readonly control = new AbortController();
  /** It was opened with a fresh token, to go on from where one with the token of before stood. */
  readonly isRenewal: boolean;
  isLive = false;
  code = NO_CODE;
  reconnectInMs: number | undefined;

  constructor(isRenewal: boolean) {
    this.isRenewal = isRenewal;
  }
}

export class Subscription {
  readonly #ch: number;
  readonly #place: Place;
  readonly #events: SubscriptionEvents;
  #wanted: SubFrame;
  /** Of the last event that had one; empty where the server took it back. */
  #lastId = '';
  /** The stream that is read; undefined once it is over. */
  #run: Run | undefined;
  /** A fresh token waits until the subscription is live: half a snapshot cannot be gone on from. */
  #renewsWhenLive = false;
  /** What a window lacks comes in parts, of which the last alone brings it to a place: they are kept until it is live. */
  #parts: Frame<'chg'>[] = [];
  /** When something came, ms since 1970. */
  heardAt = Date.now();

  constructor(frame: SubFrame, ch: number, place: Place, events: SubscriptionEvents) {
    this.#wanted = frame;
    this.#ch = ch;
    this.#place = place;
    this.#events = events;
    this.#open(false);
  }

  /** Goes on with a fresh token. */
  renew(): void {
    if (!this.#run) return;
    if (this.#lastId === '') this.#renewsWhenLive = true;
    else this.#open(true);
  }

  end(): void {
    const run = this.#run;
    this.#run = undefined;
    run?.control.abort();
  }

  /** First the stream of before goes: over HTTP/1.1 there may be no connection left for another one. */
  #open(isRenewal: boolean): void {
    this.end();
    const run = new Run(isRenewal);
    this.#run = run;
    this.heardAt = Date.now();
    this.#parts = [];
    const { fetch, credentials } = this.#place;
    const reading = readStream({
      url: this.#url(),
      fetch,
      credentials,
      headers: this.#headers(),
      signal: run.control.signal,
      heard: () => {
        if (run === this.#run) this.heardAt = Date.now();
      },
      event: (event) => {
        if (run === this.#run) this.#receive(run, event);
      },
    });
    void reading.then((end) => this.#ended(run, end));
  }

  #url(): string {
    const url = new URL(this.#place.url);
    const { t: _, id: __, from, ...wanted } = this.#wanted;
    // Headers may have no more than 4 KiB in all: where an id says more, the position is left out.
    const asked = this.#lastId === '' && from !== undefined ? { ...wanted, from } : wanted;
    for (const [name, value] of Object.entries(asked))
      url.searchParams.append(name, typeof value === 'object' ? JSON.stringify(value) : String(value));
    return url.href;
  }

  #headers(): Record<string, string> {
    const token = this.#place.token();
    return {
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      ...(this.#lastId === '' ? {} : { 'last-event-id': this.#lastId }),
    };
  }

  #ended(run: Run, end: StreamEnd): void {
    if (run !== this.#run) return;
    const refusal = typeof end === 'object' ? end : undefined;
    const { code, reconnectInMs } = run;
    this.end();
    this.#events.lost({ code, reconnectInMs, refusal, isUnreached: end === 'unreached' });
  }

  #receive(run: Run, { id, data }: EventSourceMessage): void {
    if (id !== undefined) this.#lastId = id;
    const frame = JSON.parse(data) as ServerFrame; // what the contract of the socket says
    switch (frame.t) {
      case 'welcome':
        return this.#events.welcome(frame);
      case 'bye':
        run.code = frame.code;
        run.reconnectInMs = frame.reconnectInMs;
        return;
      case 'err':
        // One of the line as a whole is about the caller: whatever it was, this stream ends after it.
        if (frame.id !== undefined) return this.#over(frame);
        if (frame.code === 'auth_refused') run.code = EXPIRED;
        break;
      case 'unsubbed':
        return this.#over(frame);
      case 'chg':
        if ('ch' in frame || !isWindow(this.#wanted)) break;
        this.#parts.push(frame);
        return;
      case 'reset':
        return this.#reset(run, frame);
      case 'live':
        return this.#live(run, frame);
      default:
    }
    this.#tell(frame);
  }

  /** The server has ended it, whatever becomes of the stream. */
  #over(frame: ServerFrame): void {
    this.end();
    this.#events.over();
    this.#tell(frame);
  }

  #live(run: Run, frame: Frame<'live'>): void {
    const parts = this.#parts;
    this.#parts = [];
    for (const part of parts) this.#tell(part);
    run.isLive = true;
    this.#tell(frame);
    if (!this.#renewsWhenLive) return;
    this.#renewsWhenLive = false;
    this.renew();
  }

  /** Nothing that was known of the log holds. */
  #reset(run: Run, frame: Frame<'reset'>): void {
    const { from: _, ...anew } = this.#wanted;
    this.#wanted = anew;
    this.#parts = [];
    // What the fresh token may see, the id of the one before does not say: its rows may be nobody’s to show.
    const isOfRights = run.isRenewal && !run.isLive;
    this.#tell(isOfRights ? { ...frame, reason: 'rights_changed' } : frame);
    if (frame.reason !== 'rights_changed' || run !== this.#run) return;
    // The server ends this one: of other rights there are other streams.
    this.#lastId = '';
    this.#open(false);
  }

  #tell(frame: ServerFrame): void {
    const named = 'id' in frame && frame.id !== undefined ? { ...frame, id: this.#wanted.id } : frame;
    this.#events.frame('ch' in named ? { ...named, ch: this.#ch } : named);
  }
}
