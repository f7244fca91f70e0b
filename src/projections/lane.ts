/**
 * A lane of a projector: batches of several shards that wait are folded together and written in one transaction, one
 * transaction at a time. Alone, a batch goes at once.
 */
import type { StoredEvent } from '../domain/events.js';
import type { AnyProjection } from '../domain/projection.js';
import type { Database } from '../platform/postgres/database.js';
import { isRefused } from '../platform/postgres/sqlstate.js';
import { decode, fold, type Decoded, type Stop } from './fold.js';
import { rowFault } from './limits.js';
import { NO_ROW, Rows, type KnownRow } from './rows.js';
import {
  BatchTooLarge,
  changesOf,
  writeBatch,
  WriteConflict,
  type Change,
  type Fence,
  type Progress,
  type Written,
} from './write.js';

export interface EventBatch {
  readonly source: string;
  readonly shard: number;
  /** The checkpoint: the seq before the first entry. */
  readonly from: number;
  readonly entries: readonly StoredEvent[];
  readonly fence: Fence;
}

export interface LaneOptions {
  readonly db: Database;
  readonly projection: AnyProjection;
  /** Shards of the change log. */
  readonly shards: number;
  /** Events in one transaction at the most, a single batch aside. */
  readonly maxEvents: number;
  /** Characters of JSON of the rows that are remembered. */
  readonly cacheChars: number;
  /** Called after each commit. */
  wrote(info: {
    progress: readonly Progress[];
    heads: Written['heads'];
    entries: Written['entries'];
    events: number;
    changes: number;
  }): void;
}

interface Waiting {
  readonly batch: EventBatch;
  readonly resolve: (stop: Stop | undefined) => void;
  readonly reject: (error: unknown) => void;
}

const lastSeq = ({ from, entries }: EventBatch): number => entries.at(-1)?.seq ?? from;

/** JSON text of the rows that one transaction writes at the most, in characters. */
const MAX_CHARS = 8 * 1024 * 1024;
/** Rows that it touches at the most: an event may name many keys. */
const MAX_ROWS = 50_000;

export class Lane {
  readonly #options: LaneOptions;
  readonly #rows: Rows;
  #queue: Waiting[] = [];
  #running = false;
  /** False after a row was not as this lane thought: then it looks even where there should be none. */
  #trusting = true;

  constructor(options: LaneOptions) {
    this.#options = options;
    this.#rows = new Rows(options.db, options.projection, options.cacheChars);
  }

  /**
   * Resolves when the events are in: undefined, or why those from one on are not.
   * @throws WriteConflict, and whatever the database throws; nothing can be said of the batch then
   */
  submit(batch: EventBatch): Promise<Stop | undefined> {
    return new Promise((resolve, reject) => {
      this.#queue.push({ batch, resolve, reject });
      if (!this.#running) void this.#pump();
    });
  }

  /** Forgets all rows; to be called before a checkpoint is read, after which another may have written. */
  forget(): void {
    this.#rows.clear();
  }

  async #pump(): Promise<void> {
    this.#running = true;
    while (this.#queue.length > 0) {
      const taken = this.#take();
      try {
        const stops = await this.#write(taken.map(({ batch }) => batch));
        for (const [index, { resolve }] of taken.entries()) resolve(stops[index]);
        this.#trusting = true;
      } catch (error) {
        this.#rows.clear();
        this.#trusting = !(error instanceof WriteConflict && error.kind === 'row');
        for (const { reject } of taken) reject(error);
      }
    }
    this.#running = false;
  }

  /** The first batch and those that may go with it: of the same fence, as long as it does not get too large. */
  #take(): Waiting[] {
    const taken: Waiting[] = [];
    const left: Waiting[] = [];
    let events = 0;
    const fence = this.#queue[0]?.batch.fence;
    for (const waiting of this.#queue) {
      const count = waiting.batch.entries.length;
      const fits =
        waiting.batch.fence === fence && (taken.length === 0 || events + count <= this.#options.maxEvents);
      if (fits) events += count;
      (fits ? taken : left).push(waiting);
    }
    this.#queue = left;
    return taken;
  }

  /** Writes, by halves where it is too large, or where Postgres refuses what one event made, to find that event. */
  async #write(batches: readonly EventBatch[]): Promise<(Stop | undefined)[]> {
    try {
      return await this.#attempt(batches, false);
    } catch (error) {
      if (!isRefused(error) && !(error instanceof BatchTooLarge)) throw error;
      this.#rows.clear();
      const [batch, ...more] = batches;
      if (!batch) return [];
      if (more.length > 0) {
        const stops: (Stop | undefined)[] = [];
        for (const one of batches) stops.push(...(await this.#write([one])));
        return stops;
      }
      return [await this.#halve(batch, error)];
    }
  }

  async #halve(batch: EventBatch, error: unknown): Promise<Stop | undefined> {
    const [event] = batch.entries;
    if (!event) return undefined;
    const half = batch.entries.length >> 1;
    if (half === 0) return { kind: 'poison', at: 0, event, error };
    const first = { ...batch, entries: batch.entries.slice(0, half) };
    const [stop] = await this.#write([first]);
    if (stop) return stop;
    const [rest] = await this.#write([
      { ...batch, from: lastSeq(first), entries: batch.entries.slice(half) },
    ]);
    return rest && { ...rest, at: rest.at + half };
  }

  async #attempt(batches: readonly EventBatch[], strict: boolean): Promise<(Stop | undefined)[]> {
    const { projection } = this.#options;
    const decoded = batches.map(({ source, entries }) => decode(projection, source, entries));
    // One event is written whatever it makes: it cannot be halved.
    const alone = batches.length === 1 && batches[0]?.entries.length === 1;
    const { touched, stops } = await fold(projection, decoded, await this.#load(decoded, alone), strict);
    const changes = changesOf(projection, touched, alone ? Number.POSITIVE_INFINITY : MAX_CHARS);
    const unfit = changes.some(
      ({ after: { row, json } }) =>
        row !== null && json !== null && rowFault(projection, row, json) !== undefined,
    );
    if (unfit && !strict) return this.#attempt(batches, true);
    const progress = batches.map((batch, index): Progress => {
      const stop = stops[index];
      const til = stop ? (batch.entries[stop.at - 1]?.seq ?? batch.from) : lastSeq(batch);
      return { source: batch.source, shard: batch.shard, from: batch.from, til };
    });
    await this.#commit(batches[0]?.fence, progress, changes);
    return stops;
  }

  /** @throws BatchTooLarge when the rows would not fit into memory */
  async #load(decoded: readonly Decoded[], alone: boolean): Promise<ReadonlyMap<string, KnownRow>> {
    const keys = new Set<string>();
    const fresh = new Set<string>();
    for (const { events } of decoded) {
      for (const { event, keys: touched } of events) {
        for (const key of touched) {
          if (keys.has(key)) continue;
          keys.add(key);
          // The first event of the one stream that makes a row: there is none yet.
          if (this.#trusting && !this.#options.projection.manyStreams && event.version === 1) fresh.add(key);
        }
      }
    }
    if (keys.size > MAX_ROWS && !alone) throw new BatchTooLarge(`more than ${MAX_ROWS} rows`);
    for (const key of fresh) keys.delete(key);
    const rows = await this.#rows.load(keys, alone ? Number.MAX_SAFE_INTEGER : MAX_CHARS);
    for (const key of fresh) rows.set(key, NO_ROW);
    return rows;
  }

  async #commit(
    fence: Fence | undefined,
    all: readonly Progress[],
    changes: readonly Change[],
  ): Promise<void> {
    const { db, projection, shards, wrote } = this.#options;
    const progress = all.filter(({ from, til }) => til > from);
    if (fence === undefined || progress.length === 0) return;
    const written = await writeBatch(db, projection, fence, progress, changes, shards);
    for (const { key, row } of written.rows) this.#rows.keep(key, row);
    const events = progress.reduce((sum, { from, til }) => sum + til - from, 0);
    wrote({ progress, heads: written.heads, entries: written.entries, events, changes: changes.length });
  }
}
