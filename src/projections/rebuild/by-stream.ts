/**
 * Loads rows of one stream each: whole streams are folded one after the other, and the rows of a shard go in with one COPY, in one
 * transaction with the word that the shard is loaded. Nothing is held but the row of the stream that is being folded.
 */
import { DomainError } from '../../domain/errors.js';
import type { StoredEvent } from '../../domain/events.js';
import { foldRow, sourceOf, toRecorded } from '../../domain/folding.js';
import type { ProjectionSource, RowValue } from '../../domain/projection.js';
import { readStreams } from '../../event-store/copy-out.js';
import { TidemarkError } from '../../platform/errors.js';
import { CopySession, type CopyIn } from '../../platform/postgres/copy.js';
import { rowToJson } from '../columns.js';
import { rowFault } from '../limits.js';
import { parkingArgument } from '../parked/record.js';
import { ParkedKeys } from '../parked/room.js';
import { advance, checkFence, keepStop } from './fence.js';
import { foldCarefully, type CarefulFold } from './careful.js';
import { rowLine } from './row-lines.js';
import { copyRows, park } from './statements.js';
import type { ToldProgress } from './told-progress.js';
import { BuildStop, type BuildOptions, type BuildShard } from './types.js';

/** Text that is handed to the connection at once, in characters. */
const PIECE = 65_536;

const isNewer = (error: unknown): boolean =>
  error instanceof DomainError && error.code === 'needs_newer_code';

/** Folds the streams of one shard as they come. */
class StreamFolds {
  /** Streams whose fold threw, or whose row does not fit: they are folded again with care. */
  readonly faulty: string[] = [];
  readonly #projection: BuildOptions['projection'];
  readonly #source: ProjectionSource;
  #lines = '';
  #stream: string | undefined;
  #row: RowValue | null = null;
  #skipping = false;

  constructor(projection: BuildOptions['projection'], source: ProjectionSource) {
    this.#projection = projection;
    this.#source = source;
  }

  /** @throws BuildStop at an event that is newer than the code */
  add(events: readonly StoredEvent[]): void {
    for (const stored of events) {
      if (stored.streamId !== this.#stream) {
        this.#finish();
        this.#stream = stored.streamId;
      }
      if (!this.#skipping) this.#fold(stored);
    }
  }

  /** The lines of the rows that are complete; all of them, once there is no more. */
  take(atLeast: number): string {
    if (atLeast === 0) this.#finish();
    if (this.#lines.length < atLeast) return '';
    const lines = this.#lines;
    this.#lines = '';
    return lines;
  }

  #fold(stored: StoredEvent): void {
    try {
      const event = toRecorded(this.#source, stored);
      this.#row = foldRow(this.#projection, this.#source, stored.streamId, this.#row, event);
    } catch (error) {
      if (isNewer(error)) throw new BuildStop('needs_newer_code', stored, error);
      this.#skipping = true;
    }
  }

  #finish(): void {
    const row = this.#row;
    if (row !== null && !this.#skipping) {
      if (rowFault(this.#projection, row, rowToJson(this.#projection, row)) === undefined)
        this.#lines += rowLine(this.#projection, row);
      else this.#skipping = true;
    }
    if (this.#skipping && this.#stream !== undefined) this.faulty.push(this.#stream);
    this.#row = null;
    this.#skipping = false;
    this.#stream = undefined;
  }
}

class ByStreamLoader {
  readonly #options: BuildOptions;
  readonly #progress: ToldProgress;
  readonly #source: ProjectionSource;
  readonly #parked: ParkedKeys;

  constructor(options: BuildOptions, source: ProjectionSource, progress: ToldProgress) {
    this.#options = options;
    this.#progress = progress;
    this.#source = source;
    this.#parked = new ParkedKeys(options.db, options.projection);
  }

  /** All of a shard or nothing. @throws BuildStop, Superseded, as `Database.query` */
  async load(shard: BuildShard, events: AsyncIterable<readonly StoredEvent[]>): Promise<void> {
    const { db, projection, signal, turn } = this.#options;
    const folds = new StreamFolds(projection, this.#source);
    let session: CopySession | undefined;
    let copy: CopyIn | undefined;
    let done = 0;
    const write = async (lines: string): Promise<void> => {
      if (lines === '') return;
      session ??= await this.#begin();
      copy ??= session.copyIn(copyRows(db, projection));
      await copy.write(lines);
    };
    try {
      for await (const page of events) {
        signal.throwIfAborted();
        folds.add(page);
        done += page.length;
        this.#progress.add(page.length);
        await write(folds.take(PIECE));
        await turn();
      }
      await write(folds.take(0));
      const again = await this.#again(shard, folds.faulty);
      for (const { row } of again) if (row) await write(rowLine(projection, row));
      await copy?.end();
      session ??= await this.#begin();
      await this.#commit(session, shard, again);
      session.close();
    } catch (error) {
      session?.close(true);
      this.#progress.takeBack(done);
      throw error;
    }
  }

  async #begin(): Promise<CopySession> {
    const session = await CopySession.open(this.#options.db, this.#options.signal);
    try {
      await session.query('BEGIN');
      // Not held: a process that froze in the middle of its COPY would keep the lease for ever.
      await checkFence(session, this.#options, 'look');
      return session;
    } catch (error) {
      session.close(true);
      throw error;
    }
  }

  async #again(shard: BuildShard, streams: readonly string[]): Promise<CarefulFold[]> {
    const again: CarefulFold[] = [];
    if (streams.length === 0) return again;
    let room = await this.#parked.room();
    for (const streamId of streams) {
      this.#options.signal.throwIfAborted();
      const one = await foldCarefully(this.#options, this.#source, { ...shard, streamId }, room);
      again.push(one);
      room = { ...room, keys: room.keys - one.parks.length, events: room.events - one.queued.length };
    }
    return again;
  }

  async #commit(session: CopySession, shard: BuildShard, again: readonly CarefulFold[]): Promise<void> {
    const { db, projection } = this.#options;
    const parks = again.flatMap((one) => one.parks);
    const queued = again.flatMap((one) => one.queued);
    const parking = parkingArgument(projection, parks, queued);
    if (parking !== undefined) await session.query(park(db), [projection.name, projection.version, parking]);
    await advance(session, this.#options, [{ from: shard, til: shard.upto }]);
    await session.query('COMMIT');
    this.#parked.add(parks, queued);
    for (const { key } of parks)
      this.#options.logger.error({ key }, 'a key is parked; see `tidemark parked`');
  }
}

/**
 * Loads the shards that are not loaded yet; one that cannot be is left, and the others go on.
 * @returns why shards are left
 * @throws Superseded; what `signal` is aborted with; as `Database.query`
 */
export async function loadByStream(
  options: BuildOptions,
  shards: readonly BuildShard[],
  progress: ToldProgress,
): Promise<BuildStop[]> {
  const [first] = options.projection.sources;
  const source = first && sourceOf(options.projection, first.aggregate.name);
  if (!source) throw new TidemarkError('internal_error', `${options.projection.name} follows nothing`);
  const loader = new ByStreamLoader(options, source, progress);
  const stops: BuildStop[] = [];
  const left = shards.filter(({ seq, upto }) => seq < upto);
  const ranges = left.map(({ source: category, shard, seq, upto }) => ({
    category,
    shard,
    after: seq,
    upto,
  }));
  let at = 0;
  for await (const { events } of readStreams(options.db, ranges, options.signal)) {
    const shard = left[at++];
    if (!shard) break;
    try {
      await loader.load(shard, events);
    } catch (error) {
      if (!(error instanceof BuildStop)) throw error;
      options.logger.error({ reason: error.message }, 'a shard cannot be loaded');
      await keepStop(options, error);
      stops.push(error);
    }
  }
  return stops;
}
