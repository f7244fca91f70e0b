/**
 * One window: the first rows of a filter in an order, kept once for all who watch it. It moves on with its log, and what its
 * subscribers have is always exactly what the query gives at the position that they were told.
 *
 * When too few rows are left and there are others behind them, one query brings them, however many watch. Until it is
 * answered, the change that made it short is held back, with all that come after it: nobody sees a window with a row
 * missing, and a row that moves up comes with the change that made room for it.
 */
import { isTidemarkError } from '../../platform/errors.js';
import type { Logger } from '../../platform/logger.js';
import type { RowsSnapshot } from '../../projections/types.js';
import type { SocketErrorCode } from '../../protocol/frames.js';
import type { ShardSeq } from '../../protocol/positions.js';
import type { Change } from '../change.js';
import type { WindowBudget } from './budget.js';
import { encodeRow } from '../encoding.js';
import { differences, type ShownRow, type WindowPart } from './differences.js';
import { sortValues } from './order.js';
import type { WindowSpec } from './request.js';
import { WindowRows, type WindowRow } from './rows.js';

type Fields = Readonly<Record<string, unknown>>;

/** A change that concerns the window's filter. */
export interface Concerned {
  readonly change: Change;
  /** The row as it is in the filter after it; null: it is not in the filter. */
  readonly row: () => Fields | null;
}

/** What the window needs of its change log. */
export interface WindowLog {
  readonly epoch: string;
  readonly position: readonly number[];
  covers(shard: number, after: number): boolean;
  change(shard: number, seq: number): Change;
  wait(waiter: { wake(): void }): void;
  forget(waiter: { wake(): void }): void;
  check(): Promise<unknown>;
}

export interface WindowDeps {
  readonly spec: WindowSpec;
  readonly log: WindowLog;
  readonly budget: WindowBudget;
  readonly logger: Logger;
  /** Rows behind the limit that are kept as well. */
  readonly spare: number;
  /** Memory that its rows may take. */
  readonly maxBytes: number;
  /** So long those who watch wait for rows that move up. */
  readonly joinTimeoutMs: number;
  /** The first rows in its order. */
  read(rows: number): Promise<RowsSnapshot>;
  /** What a change is to its filter; undefined when it is nothing. */
  concerned(change: Change): Concerned | undefined;
  /**
   * To all who watch.
   * @param at time of the oldest change in it, ms
   * @param moved shards that changes of the filter were in which nobody has heard of
   */
  publish(at: number, parts: readonly WindowPart[], moved: ReadonlySet<number>): void;
  /** It can be kept up no more: those who watch are told. */
  failed(code: SocketErrorCode, message: string): void;
}

interface Waiting {
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

export class Window {
  readonly spec: WindowSpec;
  readonly #deps: WindowDeps;
  #rows: WindowRows | undefined;
  /** What those who watch have. A new map whenever it changes. */
  #shown: ReadonlyMap<string, ShownRow> = new Map();
  /** Shards of changes that changed nothing which is shown: who watches hears of them with the next that does. */
  #moved = new Set<number>();
  /** Changes that were taken in and not published yet: shard → seq of the first. */
  #since = new Map<number, number>();
  /** The newest of them, and the time of the oldest. */
  #last: ShardSeq = [0, 0];
  #oldest = Infinity;
  /** Key → the change that it left the window by. */
  #left = new Map<string, ShardSeq>();
  #reading = false;
  /** The last read did: the next one is `check`'s to begin, or that of someone who comes. */
  #failed = false;
  #arrived: RowsSnapshot | undefined;
  /** What was asked for before a restart is not waited for. */
  #run = 0;
  #closed = false;
  #shortSince: number | undefined;
  #weight = 0;
  /** With fewer rows, more are read. */
  #refillBelow = 0;
  #waiting: Waiting[] = [];

  constructor(deps: WindowDeps) {
    this.#deps = deps;
    this.spec = deps.spec;
    deps.budget.opened();
  }

  /** What those who watch have is what the query gives at the log's position. */
  get settled(): boolean {
    return this.#rows !== undefined && !this.#isShort;
  }

  /** The rows as those who watch have them, in their order; never changed, but replaced. */
  get shown(): ReadonlyMap<string, ShownRow> {
    return this.#shown;
  }

  get #isShort(): boolean {
    return this.#rows !== undefined && !this.#rows.complete && this.#rows.size < this.spec.limit;
  }

  /** Resolves when it is settled. @throws whatever reading its rows throws */
  whenSettled(): Promise<void> {
    if (this.settled) return Promise.resolve();
    const settled = new Promise<void>((resolve, reject) => this.#waiting.push({ resolve, reject }));
    this.#fill();
    return settled;
  }

  /** Changes of one shard that concern it, in their order. The log stands at the last of them, or further. */
  take(shard: number, changes: readonly Concerned[]): void {
    const rows = this.#rows;
    if (!rows) return;
    for (const concerned of changes) {
      const { change } = concerned;
      apply(rows, this.spec, shard, concerned);
      if (!this.#since.has(shard)) this.#since.set(shard, change.seq);
      this.#moved.add(shard);
      this.#last = [shard, change.seq];
      this.#oldest = Math.min(this.#oldest, change.at);
      if (this.#shown.has(change.key)) this.#left.set(change.key, this.#last);
      const pushed = rows.at(this.spec.limit);
      if (pushed && this.#shown.has(pushed.key)) this.#left.set(pushed.key, this.#last);
    }
    this.#settle();
  }

  /**
   * The rows that bring someone up to date who has the window as it was at an earlier position: rows that it may have
   * already, and keys that it may not have, come too. Undefined: that cannot be told from what is known here.
   *
   * Rows that did not change since keep their order among each other. Of these, at least the first `limit - changed` were in
   * the window then, and none beyond the first `limit`.
   * @param changed keys of the filter that changed since
   */
  missed(changed: ReadonlySet<string>): ReadonlyMap<string, ShownRow | undefined> | undefined {
    const rows = this.#rows;
    if (!rows) return undefined;
    const { limit } = this.spec;
    const found = new Map<string, ShownRow | undefined>();
    if (changed.size === 0) return found;
    for (const key of changed) found.set(key, this.#shown.get(key));
    let unchanged = 0;
    for (let at = 0; at < rows.size && unchanged < limit; at++) {
      const row = rows.at(at);
      if (!row || changed.has(row.key)) continue;
      unchanged++;
      if (unchanged > limit - changed.size) found.set(row.key, this.#shown.get(row.key));
    }
    return unchanged < limit && !rows.complete ? undefined : found;
  }

  /** The log began anew: what was known of it does not hold. */
  restart(): void {
    this.#begin();
  }

  close(): void {
    this.#begin();
    this.#closed = true;
    this.#deps.budget.closed();
  }

  /** Reads again what could not be read. @param now ms of a clock that never runs backwards */
  check(now: number): void {
    if (this.#isShort) this.#shortSince ??= now;
    else this.#shortSince = undefined;
    if (this.#shortSince !== undefined && now - this.#shortSince > this.#deps.joinTimeoutMs)
      return this.#deps.failed('unavailable', 'the rows that move up cannot be read now; subscribe again');
    if (this.#rows && this.#isLow()) this.#fill();
  }

  /** The log moved on. */
  wake(): void {
    this.#adopt();
  }

  #begin(): void {
    this.#run++;
    this.#reading = false;
    this.#failed = false;
    this.#arrived = undefined;
    this.#rows = undefined;
    this.#shown = new Map();
    this.#shortSince = undefined;
    // Whoever waits begins anew by itself.
    this.#waiting = [];
    this.#forgetTaken();
    this.#moved = new Set();
    this.#weigh();
    this.#deps.log.forget(this);
  }

  #forgetTaken(): void {
    this.#since = new Map();
    this.#left = new Map();
    this.#oldest = Infinity;
  }

  /** There are others behind its rows, and too few of them are known. */
  #isLow(): boolean {
    return this.#rows !== undefined && !this.#rows.complete && this.#rows.size < this.#refillBelow;
  }

  #settle(): void {
    this.#weigh();
    if (this.#weight > this.#deps.maxBytes || (this.#isShort && this.#refillBelow < this.spec.limit))
      return this.#deps.failed(
        'too_many_rows',
        `the rows of the window are too large for ${this.spec.limit} of them; subscribe to fewer`,
      );
    if (!this.#deps.budget.within)
      return this.#deps.failed('too_many_windows', 'the windows of this server hold too many bytes of rows');
    if (this.#isLow() && !this.#failed) this.#fill();
    if (!this.settled) return;
    this.#publish();
    for (const { resolve } of this.#waiting.splice(0)) resolve();
  }

  #weigh(): void {
    const bytes = this.#rows?.bytes ?? 0;
    this.#deps.budget.weighed(bytes - this.#weight);
    this.#weight = bytes;
  }

  #publish(): void {
    const shown = new Map(this.#rows?.first(this.spec.limit).map((row) => [row.key, row]));
    const parts = differences(this.#shown, shown, {
      since: this.#since,
      last: this.#last,
      left: this.#left,
    });
    const at = this.#oldest;
    this.#forgetTaken();
    if (parts.length === 0) return;
    // Who leaves the topic now has what was published until here.
    this.#deps.publish(at, parts, this.#moved);
    this.#moved = new Set();
    this.#shown = shown;
  }

  #fill(): void {
    if (this.#reading || this.#closed) return;
    this.#reading = true;
    const run = this.#run;
    this.#deps
      .read(this.spec.limit + this.#deps.spare)
      .then((read) => {
        if (run !== this.#run) return;
        this.#failed = false;
        this.#arrived = read;
        this.#adopt();
      })
      .catch((error: unknown) => {
        if (run === this.#run) this.#unread(error);
      });
  }

  /** Those who wait for their first rows are told; for the others it is tried again (`check`). */
  #unread(error: unknown): void {
    this.#reading = false;
    this.#failed = true;
    this.#arrived = undefined;
    if (!isTidemarkError(error, 'projection_building'))
      this.#deps.logger.warn({ err: error }, 'the rows of a window could not be read');
    for (const { reject } of this.#waiting.splice(0)) reject(error);
  }

  /** Takes over what was read, once the log has come as far, with what came after it. */
  #adopt(): void {
    const read = this.#arrived;
    if (!read) return;
    const { log } = this.#deps;
    if (read.epoch !== log.epoch) return this.#readAgain(log.check());
    if (read.pos.some(([shard, seq]) => seq > (log.position[shard] ?? 0))) return log.wait(this);
    if (read.pos.some(([shard, seq]) => !log.covers(shard, seq))) return this.#readAgain();
    this.#arrived = undefined;
    this.#reading = false;
    const { spare } = this.#deps;
    const { limit } = this.spec;
    // Of large rows a read brings fewer than there are and were asked for: another would not bring more.
    const cutShort = read.tooMany && read.rows.length < limit + spare;
    this.#refillBelow = Math.min(
      limit + Math.floor(spare / 4),
      cutShort ? read.rows.length : Number.POSITIVE_INFINITY,
    );
    this.#rows = this.#upToDate(read);
    this.#settle();
  }

  #readAgain(after: Promise<unknown> = Promise.resolve()): void {
    this.#arrived = undefined;
    const run = this.#run;
    after
      .then(() => {
        if (run !== this.#run) return;
        this.#reading = false;
        this.#fill();
      })
      .catch((error: unknown) => {
        if (run === this.#run) this.#unread(error);
      });
  }

  /** The rows as they are at the log's position. */
  #upToDate(read: RowsSnapshot): WindowRows {
    const { log, concerned, spare } = this.#deps;
    const { sort, limit } = this.spec;
    // At least one more than are shown: what is pushed out is looked at before it is let go.
    const size = { keep: limit + spare, most: limit + 2 * spare + 1 };
    const found = read.rows.map(([key, rev, row]): WindowRow => ({
      key,
      rev,
      shard: undefined,
      // A row is an object: it was checked against the row schema when it was written.
      values: sortValues(sort, JSON.parse(row) as Fields),
      text: encodeRow(key, rev, row),
    }));
    const rows = new WindowRows(sort, size, found, !read.tooMany);
    for (const [shard, seq] of read.pos) {
      for (let next = seq + 1; next <= (log.position[shard] ?? 0); next++) {
        const change = concerned(log.change(shard, next));
        if (change) apply(rows, this.spec, shard, change);
      }
    }
    return rows;
  }
}

function apply(rows: WindowRows, { sort }: WindowSpec, shard: number, { change, row }: Concerned): void {
  const fields = row();
  const { key, seq: rev } = change;
  if (fields) rows.set({ key, rev, shard, values: sortValues(sort, fields), text: change.present() });
  else rows.remove(key);
}
