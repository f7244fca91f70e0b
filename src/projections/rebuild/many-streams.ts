/**
 * Loads rows of many streams: all shards of all sources in the one order of time, folded in a bounded cache of rows, which are
 * written from time to time together with how far each shard is. Where a fold throws, what was not written is folded
 * once more, with care, up to past that event.
 */
import type { StoredEvent } from '../../domain/events.js';
import { foldRow } from '../../domain/folding.js';
import { readInTime } from '../../event-store/copy-out.js';
import { ShardSeqs } from '../../event-store/shard-seqs.js';
import { timeWindows } from '../../event-store/time-windows.js';
import { CopySession } from '../../platform/postgres/copy.js';
import { textArray } from '../../platform/postgres/arrays.js';
import { rowToJson } from '../columns.js';
import { decode, type Decoded } from '../decode.js';
import { fold } from '../fold.js';
import { parkingArgument } from '../parked/record.js';
import { ParkedKeys } from '../parked/room.js';
import { tellParks } from '../parked/told.js';
import type { Park, ParkingRoom, Queued } from '../parked/types.js';
import type { KnownRow } from '../rows.js';
import { readBuild } from './begin.js';
import { buildStop } from './careful.js';
import { advance, keepStop } from './fence.js';
import { RowCache, type UnfitRow } from './row-cache.js';
import { LOADED_REVISION } from './row-lines.js';
import { copyRows, deleteRows, park } from './statements.js';
import type { ToldProgress } from './told-progress.js';
import type { BuildOptions, BuildShard, BuildStop } from './types.js';

/** Events whose rows are looked up together. */
const SLICE = 1_000;
/** Text that is handed to the connection at once, in characters. */
const PIECE = 65_536;

/** What was folded since the last flush is to be folded again, with care until this event is through. */
class Again extends Error {
  readonly until: StoredEvent | undefined;

  constructor(until: StoredEvent | undefined, cause: unknown) {
    super('what was folded since the last flush is folded again', { cause });
    this.until = until;
  }
}

/** Consecutive events of one category, in order. */
function runsOf(events: readonly StoredEvent[]): StoredEvent[][] {
  const runs: StoredEvent[][] = [];
  for (const event of events) {
    const run = runs.at(-1);
    if (run?.[0]?.category === event.category) run.push(event);
    else runs.push([event]);
  }
  return runs;
}

/** From the last flush on, as far as it goes without a fault. */
class Stretch {
  readonly #options: BuildOptions;
  readonly #progress: ToldProgress;
  readonly #cache: RowCache;
  readonly #parked: ParkedKeys;
  /** As they are in Postgres. */
  #shards: readonly BuildShard[];
  readonly #reached = new ShardSeqs();
  #room: ParkingRoom;
  #parks: Park[] = [];
  #queued: Queued[] = [];
  #events = 0;
  #last: StoredEvent | undefined;
  #flushedAt = performance.now();
  #careful: { readonly until: StoredEvent | undefined } | undefined;

  constructor(
    options: BuildOptions,
    progress: ToldProgress,
    begun: {
      readonly shards: readonly BuildShard[];
      readonly parked: ParkedKeys;
      readonly room: ParkingRoom;
    },
    careful: { readonly until: StoredEvent | undefined } | undefined,
  ) {
    const { shards, parked, room } = begun;
    this.#options = options;
    this.#progress = progress;
    this.#cache = new RowCache(
      options.db,
      options.projection,
      shards.every(({ seq }) => seq === 0),
    );
    this.#parked = parked;
    this.#room = room;
    this.#shards = shards;
    this.#careful = careful;
  }

  /** Events that were folded and are not flushed. */
  get pending(): number {
    return this.#events;
  }

  /** @returns why it ends before its end; what was before that event is flushed */
  async run(): Promise<BuildStop | undefined> {
    const { db, signal, turn } = this.#options;
    const ranges = this.#shards.map(({ source: category, shard, seq, upto }) => ({
      category,
      shard,
      after: seq,
      upto,
    }));
    let slice: StoredEvent[] = [];
    for await (const page of readInTime(db, timeWindows(db, ranges), signal)) {
      signal.throwIfAborted();
      slice.push(...page);
      if (slice.length < SLICE) continue;
      const stop = await this.#fold(slice);
      slice = [];
      if (stop) return this.#end(stop);
      if (this.#isTime()) await this.#flush();
      await turn();
    }
    return this.#end(await this.#fold(slice));
  }

  async #end(stop: BuildStop | undefined): Promise<BuildStop | undefined> {
    await this.#flush();
    return stop;
  }

  #isTime(): boolean {
    const { flushMs = 5_000, cacheChars = 64 * 1024 * 1024 } = this.#options;
    return performance.now() - this.#flushedAt >= flushMs || this.#cache.chars > cacheChars;
  }

  async #fold(events: readonly StoredEvent[]): Promise<BuildStop | undefined> {
    const { projection } = this.#options;
    for (const run of runsOf(events)) {
      const batch = decode(projection, run[0]?.category ?? '', run);
      await this.#cache.load(this.#keysOf(batch));
      const stop = this.#careful ? await this.#foldCarefully(batch) : this.#foldFast(batch);
      const end = stop?.event.seq;
      const through =
        end === undefined
          ? run
          : run.slice(
              0,
              run.findIndex(({ seq, shard }) => seq === end && shard === stop?.event.shard),
            );
      for (const { category, shard, seq } of through) this.#reached.set(category, shard, seq);
      this.#last = through.at(-1) ?? this.#last;
      this.#events += through.length;
      this.#progress.add(through.length);
      if (stop) return stop;
    }
    if (this.#careful && this.#isPast(this.#careful.until)) {
      this.#careful = undefined;
      // So that the next fault does not take this one up again.
      await this.#flush();
    }
    return undefined;
  }

  #isPast(event: StoredEvent | undefined): boolean {
    return event !== undefined && this.#reached.get(event.category, event.shard) >= event.seq;
  }

  *#keysOf({ events }: Decoded): Generator<string> {
    for (const { keys } of events) yield* keys;
  }

  /** @throws Again at the first fault: what it has changed so far is thrown away */
  #foldFast({ source, events, entries, stop }: Decoded): BuildStop | undefined {
    const { projection } = this.#options;
    const { known } = this.#room;
    for (const { at, event, keys } of events) {
      for (const key of keys) {
        const stored = entries[at];
        if (known.size > 0 && stored && known.has(key)) {
          this.#queued.push({ key, event: stored });
          if (this.#queued.length > this.#room.events) throw new Again(stored, 'too many events wait');
          continue;
        }
        const row = this.#cache.get(key);
        if (event === undefined) throw new Again(stored, 'it cannot be read');
        try {
          this.#cache.set(row, foldRow(projection, source, row.key, row.row, event));
        } catch (error) {
          throw new Again(stored, error);
        }
      }
    }
    return stop && buildStop(stop);
  }

  async #foldCarefully(batch: Decoded): Promise<BuildStop | undefined> {
    const { projection } = this.#options;
    const known = new Set([...this.#room.known, ...this.#parks.map(({ key }) => key)]);
    const rows = new Map<string, KnownRow>();
    for (const key of this.#keysOf(batch)) {
      const { row } = this.#cache.get(key);
      const json = row && rowToJson(projection, row);
      rows.set(key, { rev: row === null ? 0 : LOADED_REVISION, row, json });
    }
    const parking = {
      ...this.#room,
      known,
      keys: this.#room.keys - this.#parks.length,
      events: this.#room.events - this.#queued.length,
    };
    const { touched, stops, parks, queued } = await fold(projection, [batch], rows, {
      strict: true,
      parking,
    });
    for (const [key, { row }] of touched) this.#cache.set(this.#cache.get(key), row);
    this.#parks.push(...parks);
    this.#queued.push(...queued);
    if (parks.length > 0)
      this.#room = { ...this.#room, known: new Set([...known, ...parks.map(({ key }) => key)]) };
    const [stop] = stops;
    return stop && buildStop(stop);
  }

  /** Rows, parked keys and how far the shards are, in one transaction. @throws Again when a row does not fit */
  async #flush(): Promise<void> {
    this.#flushedAt = performance.now();
    if (this.#events === 0) return;
    const { db, projection, cacheChars = 64 * 1024 * 1024 } = this.#options;
    const session = await CopySession.open(db, this.#options.signal);
    try {
      await session.query('BEGIN');
      const replaced = this.#cache.replaced();
      if (replaced.length > 0) await session.query(deleteRows(db, projection), [textArray(replaced)]);
      const unfit = await this.#copy(session);
      if (unfit) throw new Again(this.#last, `row ${JSON.stringify(unfit.key)}: ${unfit.fault}`);
      const parking = parkingArgument(projection, this.#parks, this.#queued);
      if (parking !== undefined)
        await session.query(park(db), [projection.name, projection.version, parking]);
      await advance(session, this.#options, this.#steps());
      await session.query('COMMIT');
      session.close();
    } catch (error) {
      session.close(true);
      throw error;
    }
    await this.#flushed();
    this.#cache.shrink(cacheChars / 2);
  }

  async #copy(session: CopySession): Promise<UnfitRow | undefined> {
    const { db, projection } = this.#options;
    const copy = session.copyIn(copyRows(db, projection));
    const lines = this.#cache.lines();
    let text = '';
    let next = lines.next();
    for (; next.done !== true; next = lines.next()) {
      text += next.value;
      if (text.length < PIECE) continue;
      await copy.write(text);
      text = '';
    }
    if (text !== '') await copy.write(text);
    await copy.end();
    return next.value;
  }

  #steps(): { from: BuildShard; til: number }[] {
    return this.#shards.flatMap((from) => {
      const til = this.#reached.get(from.source, from.shard);
      return from.seq < til ? [{ from, til }] : [];
    });
  }

  async #flushed(): Promise<void> {
    this.#shards = this.#shards.map((shard) => ({
      ...shard,
      seq: Math.max(shard.seq, this.#reached.get(shard.source, shard.shard)),
    }));
    this.#cache.flushed();
    tellParks(this.#options.logger, this.#parks);
    this.#parked.add(this.#parks, this.#queued);
    this.#room = await this.#parked.room();
    this.#parks = [];
    this.#queued = [];
    this.#events = 0;
  }
}

/**
 * Loads what is not loaded yet. At an event that can be neither folded nor parked, all shards end, as they are one order.
 * @returns why it ended, or nothing
 * @throws Superseded; what `signal` is aborted with; as `Database.query`
 */
export async function loadManyStreams(options: BuildOptions, progress: ToldProgress): Promise<BuildStop[]> {
  let careful: { readonly until: StoredEvent | undefined } | undefined;
  for (;;) {
    const shards = await readBuild(options);
    const parked = new ParkedKeys(options.db, options.projection);
    const room = await parked.room();
    const stretch = new Stretch(options, progress, { shards, parked, room }, careful);
    try {
      const stop = await stretch.run();
      if (!stop) return [];
      options.logger.error({ reason: stop.message }, 'the build cannot go on');
      await keepStop(options, stop);
      return [stop];
    } catch (error) {
      if (!(error instanceof Again)) throw error;
      progress.takeBack(stretch.pending);
      careful = { until: error.until };
    }
  }
}
