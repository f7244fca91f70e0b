/**
 * One subscription as the contract of the socket has it: snapshot, then every later change, once, in order. It keeps the
 * position, checks the arithmetic of parts, and says when something is missing; what the rows are for is its sink’s.
 */
import type { ChangedRow, ChangePart, ClientPosition, SnapRow, SubFrame } from '../../protocol/frames.js';
import type { ClientError } from '../errors.js';
import type { Connection, Subscriber, SubscriptionFrame } from '../socket/connection.js';
import { isWindow, type LiveRequest } from './request.js';

/**
 * `connecting`: there are no rows yet; `live`: every change arrives; `stale`: rows are shown that may be behind, as the
 * connection is lost or a new snapshot is on its way; `closed`: it has ended.
 */
export type LiveStatus = 'connecting' | 'live' | 'stale' | 'closed';

export interface FeedSink {
  /** All rows, anew. @param isSameLog revisions go on from those of the rows before */
  snapshot(rows: readonly SnapRow[], isSameLog: boolean): void;
  /** In their order; a row is null where there is none any more. @param at ms since 1970, of the oldest change */
  changes(rows: readonly ChangedRow[], at: number): void;
  /** Rows must not be shown any more. */
  dropped(): void;
  /** The status, the error, or the position is another one. */
  moved(): void;
}

type Staged = Map<string, SnapRow>;

export class Feed implements Subscriber {
  readonly #request: LiveRequest;
  readonly #sink: FeedSink;
  readonly #connection: Pick<Connection, 'again'>;
  readonly #isWindow: boolean;
  /** A cursor of HTTP, until there is a position. */
  #from: string | undefined;
  #epoch: string | undefined;
  /** Shard → seq up to which it has everything; a shard that is absent stands at 0. */
  readonly #last = new Map<number, number>();
  /** A snapshot on its way, until it is complete. */
  #staged: Staged | undefined;
  /** Epoch of the rows that the sink has. */
  #shown: string | undefined;
  status: LiveStatus = 'connecting';
  error: ClientError | undefined;

  constructor(
    request: LiveRequest,
    sink: FeedSink,
    connection: Pick<Connection, 'again'>,
    from?: string | ClientPosition,
  ) {
    this.#request = request;
    this.#sink = sink;
    this.#connection = connection;
    this.#isWindow = isWindow(request);
    if (typeof from !== 'object') this.#from = from;
    else {
      // Whoever has a position has the rows up to it.
      this.#epoch = from.epoch;
      for (const [shard, seq] of from.pos) this.#last.set(shard, seq);
      this.#shown = from.epoch;
      this.status = 'stale';
    }
  }

  get position(): ClientPosition | undefined {
    return this.#epoch === undefined ? undefined : { epoch: this.#epoch, pos: [...this.#last] };
  }

  /** It has what the log of this epoch had at this place, or the log began anew since; one that has ended waits for nothing. */
  covers(epoch: string, shard: number, seq: number): boolean {
    if (this.status !== 'live') return this.status === 'closed';
    return epoch !== this.#epoch || (this.#last.get(shard) ?? 0) >= seq;
  }

  request(): Omit<SubFrame, 't' | 'id'> {
    const from = this.position ?? this.#from;
    if (from === undefined) this.#begin();
    return { ...this.#request, ...(from === undefined ? {} : { from }) };
  }

  frame(frame: SubscriptionFrame): void {
    switch (frame.t) {
      case 'snap':
        this.#staged ??= new Map();
        for (const row of frame.rows) this.#staged.set(row[0], row);
        return;
      case 'reset':
        this.#forget();
        if (frame.reason === 'rights_changed') this.dropped();
        return this.#is('stale', undefined);
      case 'chg':
        this.#changes(frame.d, frame.at);
        return this.#sink.moved();
      case 'live':
        return this.#live(frame);
    }
  }

  lost(error: ClientError | undefined): void {
    this.#is('stale', error);
  }

  ended(error: ClientError): void {
    this.#is('closed', error);
  }

  dropped(): void {
    this.#forget();
    this.#shown = undefined;
    this.#sink.dropped();
  }

  /** Nothing that was known of the log holds. */
  #forget(): void {
    this.#from = undefined;
    this.#epoch = undefined;
    this.#begin();
  }

  #begin(): void {
    this.#last.clear();
    this.#staged = new Map();
  }

  #is(status: LiveStatus, error: ClientError | undefined): void {
    this.status = status === 'stale' && this.#shown === undefined ? 'connecting' : status;
    this.error = error;
    this.#sink.moved();
  }

  #live({ epoch, pos }: Extract<SubscriptionFrame, { t: 'live' }>): void {
    const staged = this.#staged;
    this.#staged = undefined;
    this.#epoch = epoch;
    // Whoever comes back to a gateway that is behind the one before has more than it says.
    for (const [shard, seq] of pos) this.#last.set(shard, Math.max(seq, this.#last.get(shard) ?? 0));
    if (staged) this.#sink.snapshot([...staged.values()], this.#shown === epoch);
    this.#shown = epoch;
    this.#is('live', undefined);
  }

  #changes(parts: readonly ChangePart[], at: number): void {
    for (const part of parts) {
      const [shard, p, s] = part;
      const last = this.#last.get(shard) ?? 0;
      if (s <= last) continue;
      if (p > last) return this.#connection.again(this);
      this.#last.set(shard, s);
      this.#apply(part, last, at);
    }
  }

  /**
   * A part may begin before where we stand. What is known of it already is told by its revision; in a window a row that
   * moves up comes with an old one, so there the order of parts alone counts.
   */
  #apply([, , , rows]: ChangePart, last: number, at: number): void {
    const staged = this.#staged;
    const news = this.#isWindow ? rows : rows.filter(([, rev]) => rev > last);
    if (!staged) {
      if (news.length > 0) this.#sink.changes(news, at);
      return;
    }
    for (const [key, rev, row] of news) {
      if (row === null) staged.delete(key);
      else staged.set(key, [key, rev, row]);
    }
  }
}
