/**
 * The client’s place on a line: who is subscribed, coming back after the line was lost, and telling each subscriber what
 * is for it. Subscribers keep their own positions, so that what comes back goes on where it was.
 */
import type { ServerFrame, SocketErrorCode, SubFrame } from '../../protocol/frames.js';
import { backoffMs, type BackoffLimits } from '../backoff.js';
import { ClientError, clientError } from '../errors.js';
import { EXPIRED, LATE, NOBODY, type Line, type LineEnd, type OpenLine } from './line.js';

type Frame<T extends ServerFrame['t']> = Extract<ServerFrame, { readonly t: T }>;
/** Frames of one subscription. */
export type SubscriptionFrame = Frame<'snap' | 'live' | 'chg' | 'reset'>;

export interface Subscriber {
  /** What to ask for now, with `from` where there is a position to go on from. */
  request(): Omit<SubFrame, 't' | 'id'>;
  frame(frame: SubscriptionFrame): void;
  /** Nothing comes until it is subscribed again, which is seen to. */
  lost(error: ClientError | undefined): void;
  /** It was ended, and is subscribed again only when the client is told that its rights have changed. */
  ended(error: ClientError): void;
  /** Its rows are nobody’s to show any more. */
  dropped(): void;
}

interface Entry {
  readonly subscriber: Subscriber;
  /** On this line; undefined while it is not subscribed there. */
  id: string | undefined;
  ch: number | undefined;
  hasEnded: boolean;
  /** Subscriptions in a row that did not last. */
  tries: number;
  liveSince: number;
  timer: ReturnType<typeof setTimeout> | undefined;
}

/** A subscription that was refused with one of these is worth another try. */
const COMES_BACK: ReadonlySet<string> = new Set<SocketErrorCode>([
  'unavailable',
  'projection_building',
  'too_many_subscriptions',
  'too_many_windows',
  'rule_failed',
]);
/** From here on a close code means: don’t come back. */
const FOR_GOOD = 4_500;
const CODES_END = 5_000;
/** A subscription that was live for so long has lasted. */
const LASTED_MS = 5_000;

/** Why a line ended, where its close code says something of the caller. */
const ended = (closeCode: number, told: ClientError | undefined): ClientError =>
  told || closeCode < FOR_GOOD || closeCode === NOBODY
    ? new ClientError(
        told?.code ?? 'unauthenticated',
        told?.message ?? 'The server knows nobody of this token.',
        {
          closeCode,
        },
      )
    : clientError('socket_closed', { closeCode });

export class Connection {
  readonly #open: OpenLine;
  readonly #backoff: BackoffLimits;
  readonly #entries = new Map<Subscriber, Entry>();
  readonly #byId = new Map<string, Entry>();
  readonly #byCh = new Map<number, Set<Entry>>();
  #line: Line | undefined;
  #isOpen = false;
  #ids = 0;
  /** Lines in a row on which nothing became live. */
  #tries = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** The last line had no token in time. */
  #wasLate = false;
  /** Tokens that were refused in a row; the next one is to be fresh then. Another caller’s has one try. */
  #refusals = 0;
  /** When the token ends that was accepted last, ms since 1970. */
  #expiresAt = Infinity;
  /** Why there is to be no line for now. */
  readonly #holds = new Set<string>();
  /** Why there is to be no line any more. */
  #over: ClientError | undefined;

  constructor(open: OpenLine, backoff: BackoffLimits) {
    this.#open = open;
    this.#backoff = backoff;
  }

  add(subscriber: Subscriber): void {
    const entry: Entry = {
      subscriber,
      id: undefined,
      ch: undefined,
      hasEnded: false,
      tries: 0,
      liveSince: 0,
      timer: undefined,
    };
    this.#entries.set(subscriber, entry);
    if (this.#over) this.#finish(entry, this.#over);
    else if (this.#isOpen) this.#subscribe(entry);
    else this.#connect();
  }

  remove(subscriber: Subscriber): void {
    const entry = this.#entries.get(subscriber);
    if (!entry) return;
    this.#entries.delete(subscriber);
    this.#leave(entry);
    if (this.#entries.size === 0) this.#hangUp();
  }

  /** Something was lost on the way: subscribes anew, from the position that it has. */
  again(subscriber: Subscriber): void {
    const entry = this.#entries.get(subscriber);
    if (!entry) return;
    this.#leave(entry);
    this.#retry(entry, undefined);
  }

  /** The network may be back, or the page was looked away from: find out now. */
  wake(): void {
    if (this.#line) this.#line.probe();
    else this.#connect();
  }

  /** No line until what holds it is released. */
  hold(why: string): void {
    this.#holds.add(why);
    this.#hangUp();
    for (const { hasEnded, subscriber } of this.#entries.values()) if (!hasEnded) subscriber.lost(undefined);
  }

  release(why: string): void {
    this.#holds.delete(why);
    this.#connect();
  }

  /** Who calls has changed, or may do more than before: everything is asked for again, with a fresh token. */
  renew(): void {
    if (this.#over?.code === 'closed') return;
    this.#over = undefined;
    this.#tries = 0;
    this.#refusals = 1;
    this.#expiresAt = Infinity;
    this.#hangUp();
    this.#drop();
    for (const entry of this.#entries.values()) {
      entry.hasEnded = false;
      entry.subscriber.lost(undefined);
    }
    this.#connect();
  }

  /** No token of the caller’s is taken: there is nobody whose rows could be shown, until `renew`. */
  refused(cause: ClientError): void {
    if (this.#over?.code === 'closed') return;
    const { message, status, problem, closeCode } = cause;
    this.#hangUp();
    this.#drop();
    this.#fail(
      new ClientError('unauthenticated', message, {
        cause,
        ...(status === undefined ? {} : { status }),
        ...(problem === undefined ? {} : { problem }),
        ...(closeCode === undefined ? {} : { closeCode }),
      }),
    );
  }

  close(): void {
    this.#fail(clientError('closed'));
    this.#hangUp();
  }

  /** Ends all subscriptions. */
  #fail(error: ClientError): void {
    this.#over = error;
    for (const entry of this.#entries.values()) if (!entry.hasEnded) this.#finish(entry, error);
  }

  /** What is shown is nobody’s to see any more, also where nothing is added to it. */
  #drop(): void {
    for (const { subscriber } of this.#entries.values()) subscriber.dropped();
  }

  #finish(entry: Entry, error: ClientError): void {
    entry.hasEnded = true;
    entry.subscriber.ended(error);
  }

  #connect(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#line || this.#holds.size > 0 || this.#over || this.#entries.size === 0) return;
    const events = {
      opened: (): void => {
        this.#isOpen = true;
        for (const entry of this.#entries.values()) if (!entry.hasEnded) this.#subscribe(entry);
      },
      frame: (frame: ServerFrame): void => this.#receive(frame),
      closed: (end: LineEnd): void => this.#closed(end),
    };
    // After hours of sleep there is no need to be told.
    const refresh = this.#wasLate || this.#refusals > 0 || this.#expiresAt <= Date.now();
    this.#line = this.#open(events, refresh);
  }

  #closed({ code, reconnectInMs, error: told }: LineEnd): void {
    this.#forgetLine();
    const isRefused = code === EXPIRED || code === NOBODY;
    const isForGood = code >= FOR_GOOD && code < CODES_END && !isRefused;
    this.#wasLate = code === LATE;
    const error = isForGood || isRefused || this.#wasLate ? ended(code, told) : told;
    if (error && isForGood) return this.#fail(error);
    if (error && isRefused) {
      if (++this.#refusals > 1) return this.refused(error);
      this.#drop();
    }
    for (const { hasEnded, subscriber } of this.#entries.values()) if (!hasEnded) subscriber.lost(error);
    const ms = reconnectInMs ?? backoffMs(this.#backoff, this.#tries++);
    this.#timer = setTimeout(() => this.#connect(), ms);
  }

  #receive(frame: ServerFrame): void {
    if (frame.t === 'chg' && 'ch' in frame) {
      for (const entry of [...(this.#byCh.get(frame.ch) ?? [])]) entry.subscriber.frame(frame);
      return;
    }
    if (frame.t === 'authed') {
      this.#refusals = 0;
      this.#expiresAt = frame.expiresAt ?? Infinity;
    }
    const entry = 'id' in frame && frame.id !== undefined ? this.#byId.get(frame.id) : undefined;
    // Of the line as a whole, or of a subscription that was left meanwhile.
    if (!entry) return;
    switch (frame.t) {
      case 'live':
        this.#seat(entry, frame.ch);
        return entry.subscriber.frame(frame);
      case 'snap':
      case 'chg':
      case 'reset':
        return entry.subscriber.frame(frame);
      case 'err':
        return this.#refused(entry, new ClientError(frame.code, frame.message));
      case 'unsubbed':
        return this.#unsubbed(entry, frame);
      default:
    }
  }

  #seat(entry: Entry, ch: number): void {
    this.#tries = 0;
    this.#refusals = 0;
    this.#unseat(entry);
    entry.ch = ch;
    entry.liveSince = Date.now();
    const seats = this.#byCh.get(ch);
    if (seats) seats.add(entry);
    else this.#byCh.set(ch, new Set([entry]));
  }

  #refused(entry: Entry, error: ClientError): void {
    this.#forget(entry);
    if (COMES_BACK.has(error.code)) return this.#retry(entry, error);
    if (error.code === 'forbidden') entry.subscriber.dropped();
    this.#finish(entry, error);
  }

  #unsubbed(entry: Entry, { reason, drop }: Frame<'unsubbed'>): void {
    this.#forget(entry);
    if (drop) entry.subscriber.dropped();
    const error = new ClientError(reason ?? 'unsubbed', 'The server ended the subscription.');
    this.#finish(entry, error);
  }

  #subscribe(entry: Entry): void {
    clearTimeout(entry.timer);
    const id = String(++this.#ids);
    entry.id = id;
    this.#byId.set(id, entry);
    this.#line?.send({ t: 'sub', id, ...entry.subscriber.request() });
  }

  /** Subscribes later, at once if it is the first time. */
  #retry(entry: Entry, error: ClientError | undefined): void {
    entry.subscriber.lost(error);
    // It may have been removed by whoever was told.
    if (this.#entries.get(entry.subscriber) !== entry) return;
    if (entry.liveSince > 0 && Date.now() - entry.liveSince > LASTED_MS) entry.tries = 0;
    const ms = entry.tries === 0 && !error ? 0 : backoffMs(this.#backoff, entry.tries);
    entry.tries++;
    entry.liveSince = 0;
    entry.timer = setTimeout(() => {
      if (this.#isOpen && entry.id === undefined) this.#subscribe(entry);
    }, ms);
  }

  /** Ends a subscription on this line. */
  #leave(entry: Entry): void {
    const { id } = entry;
    this.#forget(entry);
    if (id !== undefined && this.#isOpen) this.#line?.send({ t: 'unsub', id });
  }

  #forget(entry: Entry): void {
    clearTimeout(entry.timer);
    if (entry.id !== undefined) this.#byId.delete(entry.id);
    entry.id = undefined;
    this.#unseat(entry);
  }

  #unseat(entry: Entry): void {
    if (entry.ch === undefined) return;
    const seats = this.#byCh.get(entry.ch);
    seats?.delete(entry);
    if (seats?.size === 0) this.#byCh.delete(entry.ch);
    entry.ch = undefined;
  }

  #hangUp(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#line?.close();
    this.#forgetLine();
  }

  #forgetLine(): void {
    this.#line = undefined;
    this.#isOpen = false;
    for (const entry of this.#entries.values()) this.#forget(entry);
  }
}
