/**
 * A lane of a projector: batches of several shards that wait are folded together and written in one transaction, one
 * transaction at a time. Alone, a batch goes at once.
 */
import type { StoredEvent } from '../domain/events.js';
import { hasParts } from '../domain/parts.js';
import type { AnyProjection } from '../domain/projection.js';
import type { Database } from '../platform/postgres/database.js';
import { BatchQueue, lastSeq, progressUpto } from './batch-queue.js';
import { decode, type Decoded, type Stop } from './decode.js';
import { fold, type Folded } from './fold.js';
import { rowFault } from './limits.js';
import { parkingArgument } from './parked/record.js';
import { ParkedKeys } from './parked/room.js';
import type { Park, ParkingRoom, Queued } from './parked/types.js';
import { partsArgument } from './parts/apply-parts.js';
import { isPartCell } from './parts/cells.js';
import { Joining, type Piece } from './parts/joining.js';
import { NO_ROW, Rows, type KnownRow } from './rows.js';
import {
  BatchTooLarge,
  changesOf,
  isRowRefused,
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

/** What writes the batches of a projection's shards. */
export interface BatchWriter {
  /**
   * Resolves when the events are in: undefined, or why those from one on are not.
   * @throws WriteConflict, and whatever the database throws; nothing can be said of the batch then
   */
  submit(batch: EventBatch): Promise<Stop | undefined>;
  /** Forgets what it remembers; to be called before a checkpoint is read, after which another may have written. */
  forget(): void;
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
    /** Keys that were parked. */
    parks: readonly Park[];
  }): void;
}

/** How an attempt to write differs from the usual one. */
interface Manner {
  /** Every row is checked after every event. */
  readonly strict?: boolean;
  /** Postgres refused what the batch’s one event made: the keys that it changes are parked. */
  readonly refused?: unknown;
}

/** What one transaction writes. */
interface Work {
  readonly fence: Fence | undefined;
  readonly progress: readonly Progress[];
  readonly changes: readonly Change[];
  /** Parts of streams, where rows are made of them. */
  readonly parts: Piece['parts'];
  /** What was parked when the batch was folded. */
  readonly parking: ParkingRoom;
  readonly parks: readonly Park[];
  readonly queued: readonly Queued[];
}

const shardId = ({ source, shard }: Pick<EventBatch, 'source' | 'shard'>): string => `${source}/${shard}`;

/** JSON text of the rows that one transaction writes at the most, in characters. */
const MAX_CHARS = 8 * 1024 * 1024;
/** Rows that it touches at the most: an event may name many keys. */
const MAX_ROWS = 50_000;
/** JSON text of the rows of one event, which cannot be halved; beyond it the event is at fault. */
const MAX_CHARS_ALONE = 256 * 1024 * 1024;

export class Lane implements BatchWriter {
  readonly #options: LaneOptions;
  readonly #rows: Rows;
  readonly #parked: ParkedKeys;
  /** Undefined where rows are not made of parts. */
  readonly #joining: Joining | undefined;
  readonly #queue: BatchQueue;
  /**
   * Shard → up to which seq this lane looks for a row even where there should be none, as one was there once: the table may
   * know more than the checkpoint does, after a restore.
   */
  readonly #careful = new Map<string, number>();

  constructor(options: LaneOptions) {
    this.#options = options;
    this.#rows = new Rows(options.db, options.projection, options.cacheChars);
    this.#parked = new ParkedKeys(options.db, options.projection);
    const { db, projection, cacheChars } = options;
    this.#joining = hasParts(projection)
      ? new Joining({ db, projection, rows: this.#rows, cacheChars })
      : undefined;
    this.#queue = new BatchQueue({
      maxEvents: options.maxEvents,
      write: (batches) => this.#together(batches),
    });
  }

  submit(batch: EventBatch): Promise<Stop | undefined> {
    return this.#queue.submit(batch);
  }

  /** Forgets all rows and parked keys. */
  forget(): void {
    this.#rows.clear();
    this.#joining?.clear();
    this.#parked.forget();
  }

  async #together(batches: readonly EventBatch[]): Promise<(Stop | undefined)[]> {
    try {
      return await this.#write(batches);
    } catch (error) {
      this.forget();
      if (error instanceof WriteConflict && error.kind === 'row') {
        for (const batch of batches) this.#careful.set(shardId(batch), lastSeq(batch));
      }
      throw error;
    }
  }

  /** Writes, by halves where it is too large, or where Postgres refuses what one event made, to find that event. */
  async #write(batches: readonly EventBatch[]): Promise<(Stop | undefined)[]> {
    try {
      return await this.#attempt(batches);
    } catch (error) {
      if (!isRowRefused(error) && !(error instanceof BatchTooLarge)) throw error;
      this.#rows.clear();
      this.#joining?.clear();
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
    if (half === 0 && error instanceof BatchTooLarge) return { kind: 'poison', at: 0, event, error };
    if (half === 0) return (await this.#attempt([batch], { refused: error }))[0];
    const first = { ...batch, entries: batch.entries.slice(0, half) };
    const [stop] = await this.#write([first]);
    if (stop) return stop;
    const [rest] = await this.#write([
      { ...batch, from: lastSeq(first), entries: batch.entries.slice(half) },
    ]);
    return rest && { ...rest, at: rest.at + half };
  }

  async #attempt(batches: readonly EventBatch[], manner: Manner = {}): Promise<(Stop | undefined)[]> {
    const { projection } = this.#options;
    const parking = await this.#parked.room();
    const decoded = batches.map(({ source, entries }) => decode(projection, source, entries));
    // One event is written as a whole: it cannot be halved.
    const alone = batches.length === 1 && batches[0]?.entries.length === 1;
    const rows = await this.#load(batches, decoded, parking, alone);
    const folded = await fold(projection, decoded, rows, { strict: manner.strict ?? false, parking });
    const fence = batches[0]?.fence;
    if ('refused' in manner) {
      const changed = this.#joining
        ? [...folded.touched.keys()]
        : changesOf(projection, folded.touched, MAX_CHARS_ALONE).map(({ key }) => key);
      const refused = refuse(folded, changed, decoded, parking, manner.refused);
      const progress = progressOf(batches, refused.stops);
      await this.#commit({ fence, progress, changes: [], parts: [], parking, ...refused });
      return [...refused.stops];
    }
    const { stops, parks, queued } = folded;
    for await (const { touched, parts, last } of this.#pieces(folded, decoded, rows, parking, alone)) {
      const changes = changesOf(projection, touched, alone ? MAX_CHARS_ALONE : MAX_CHARS);
      const unfit = changes.some(
        ({ after: { row, json } }) =>
          row !== null && json !== null && rowFault(projection, row, json) !== undefined,
      );
      if (unfit && !manner.strict) return this.#attempt(batches, { ...manner, strict: true });
      if (last) {
        const progress = progressOf(batches, stops);
        await this.#commit({ fence, progress, changes, parts, parking, parks, queued });
      } else await this.#before(batches, stops, { fence, changes, parts, parking });
    }
    return [...stops];
  }

  /** What goes into each transaction: one, where rows are not made of parts. */
  async *#pieces(
    folded: Folded,
    decoded: readonly Decoded[],
    rows: ReadonlyMap<string, KnownRow>,
    parking: ParkingRoom,
    alone: boolean,
  ): AsyncGenerator<Piece & { readonly last: boolean }> {
    const maxBytes = alone ? MAX_CHARS_ALONE : MAX_CHARS;
    if (this.#joining) yield* this.#joining.pieces(folded, decoded, rows, parking, { alone, maxBytes });
    else yield { touched: folded.touched, parts: [], last: true };
  }

  /** Writes what goes before the transaction that moves the checkpoints; they are compared, and stay where they are. */
  async #before(
    batches: readonly EventBatch[],
    stops: Folded['stops'],
    { fence, changes, parts, parking }: Pick<Work, 'fence' | 'changes' | 'parts' | 'parking'>,
  ): Promise<void> {
    if (fence === undefined || (changes.length === 0 && parts.length === 0)) return;
    const still = progressOf(batches, stops).map((one) => ({ ...one, til: one.from }));
    await this.#call({ fence, progress: still, changes, parts, parking, parks: [], queued: [] }, fence);
  }

  /** @throws BatchTooLarge when the rows would not fit into memory */
  async #load(
    batches: readonly EventBatch[],
    decoded: readonly Decoded[],
    { known }: ParkingRoom,
    alone: boolean,
  ): Promise<ReadonlyMap<string, KnownRow>> {
    const keys = new Set<string>();
    const fresh = new Set<string>();
    for (const [index, { events, entries }] of decoded.entries()) {
      const careful = this.#carefulUpto(batches[index]);
      for (const { at, keys: touched } of events) {
        for (const key of touched) {
          if (keys.has(key) || (known.size > 0 && known.has(key))) continue;
          keys.add(key);
          // The first event of the one stream that makes a row: there is none yet.
          const event = entries[at];
          if (event?.version === 1 && event.seq > careful && !this.#options.projection.manyStreams)
            fresh.add(key);
        }
      }
    }
    if (keys.size > MAX_ROWS && !alone) throw new BatchTooLarge(`more than ${MAX_ROWS} rows`);
    for (const key of fresh) keys.delete(key);
    const maxBytes = alone ? MAX_CHARS_ALONE : MAX_CHARS;
    const parts = this.#joining ? [...keys].filter(isPartCell) : [];
    for (const cell of parts) keys.delete(cell);
    const rows = await this.#rows.load(keys, maxBytes);
    for (const key of fresh) rows.set(key, NO_ROW);
    for (const [cell, part] of (await this.#joining?.load(parts, maxBytes)) ?? []) rows.set(cell, part);
    return rows;
  }

  #carefulUpto(batch: EventBatch | undefined): number {
    if (!batch || this.#careful.size === 0) return 0;
    const upto = this.#careful.get(shardId(batch)) ?? 0;
    if (batch.from >= upto) this.#careful.delete(shardId(batch));
    return upto;
  }

  async #commit(work: Work): Promise<void> {
    const progress = work.progress.filter(({ from, til }) => til > from);
    if (work.fence === undefined || progress.length === 0) return;
    await this.#call({ ...work, progress }, work.fence);
  }

  async #call({ progress, changes, parts, parking, parks, queued }: Work, fence: Fence): Promise<void> {
    const { db, projection, shards, wrote } = this.#options;
    const written = await writeBatch(db, projection, fence, progress, changes, shards, {
      parking: parkingArgument(projection, parks, queued),
      parts: partsArgument(projection, parts, parking),
    });
    for (const { key, row } of written.rows) this.#rows.keep(key, row);
    this.#joining?.keep(parts);
    this.#parked.add(parks, queued);
    // Whoever takes it out of parking writes it; and what a fold that threw did to it is not known.
    for (const { key } of parks) {
      this.#rows.drop(key);
      this.#joining?.drop(key);
    }
    const events = progress.reduce((sum, { from, til }) => sum + til - from, 0);
    const { heads, entries } = written;
    wrote({ progress, heads, entries, events, changes: changes.length, parks });
  }
}

/** Up to where each batch is in. */
const progressOf = (batches: readonly EventBatch[], stops: readonly (Stop | undefined)[]): Progress[] =>
  batches.flatMap((batch, index) => progressUpto(batch, stops[index]));

/** The one event of a batch makes rows that Postgres refuses: all that it changes is parked, or it stops there. */
function refuse(
  { queued, parks }: Folded,
  changed: readonly string[],
  [decoded]: readonly Decoded[],
  parking: ParkingRoom,
  error: unknown,
): Pick<Folded, 'stops' | 'parks' | 'queued'> {
  const event = decoded?.entries[0];
  const keys = changed.filter((key) => parks.every((park) => park.key !== key));
  const fits = parks.length + keys.length <= parking.keys && queued.length + keys.length <= parking.events;
  if (!event || !fits || keys.length === 0) {
    return { stops: event ? [{ kind: 'poison', at: 0, event, error }] : [], parks: [], queued: [] };
  }
  return {
    stops: [undefined],
    parks: [...parks, ...keys.map((key) => ({ key, event, error, attempts: 1 }))],
    queued: [...queued, ...keys.map((key) => ({ key, event }))],
  };
}
