/**
 * Loads rows of one stream each, and parts of streams: whole streams are folded one after the other, and what a shard makes goes in with
 * one COPY, in one transaction with the word that the shard is loaded. Nothing is held but the row of the stream that is being folded.
 */
import { DomainError } from '../../domain/errors.js';
import type { StoredEvent } from '../../domain/events.js';
import { sourceOf, toRecorded } from '../../domain/folding.js';
import type { ProjectionSource, RowValue } from '../../domain/projection.js';
import { readStreams } from '../../event-store/copy-out.js';
import { TidemarkError } from '../../platform/errors.js';
import { CopySession, type CopyIn } from '../../platform/postgres/copy.js';
import { parkingArgument } from '../parked/record.js';
import { ParkedKeys } from '../parked/room.js';
import { tellParks } from '../parked/told.js';
import { advance, checkFence, keepStop } from './fence.js';
import { foldCarefully, type CarefulFold } from './careful.js';
import { park } from './statements.js';
import { targetOf, type StreamTarget } from './target.js';
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
  readonly #source: ProjectionSource;
  readonly #target: StreamTarget;
  #lines = '';
  #stream: string | undefined;
  #row: RowValue | null = null;
  #skipping = false;

  constructor(source: ProjectionSource, target: StreamTarget) {
    this.#source = source;
    this.#target = target;
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
      this.#row = this.#target.fold(this.#row, event);
    } catch (error) {
      if (isNewer(error)) throw new BuildStop('needs_newer_code', stored, error);
      this.#skipping = true;
    }
  }

  #finish(): void {
    const row = this.#row;
    const stream = this.#stream;
    if (row !== null && stream !== undefined && !this.#skipping) {
      if (this.#target.fault(row) === undefined) this.#lines += this.#target.line(row, stream);
      else this.#skipping = true;
    }
    if (this.#skipping && stream !== undefined) this.faulty.push(stream);
    this.#row = null;
    this.#skipping = false;
    this.#stream = undefined;
  }
}

class ByStreamLoader {
  readonly #options: BuildOptions;
  readonly #progress: ToldProgress;
  readonly #parked: ParkedKeys;

  constructor(options: BuildOptions, progress: ToldProgress) {
    this.#options = options;
    this.#progress = progress;
    this.#parked = new ParkedKeys(options.db, options.projection);
  }

  /** All of a shard or nothing. @throws BuildStop, Superseded, as `Database.query` */
  async load(shard: BuildShard, events: AsyncIterable<readonly StoredEvent[]>): Promise<void> {
    const { db, projection, signal, turn } = this.#options;
    const source = sourceOf(projection, shard.source);
    if (!source)
      throw new TidemarkError('internal_error', `${projection.name} does not follow ${shard.source}`);
    const target = targetOf(db, projection, source);
    const folds = new StreamFolds(source, target);
    let session: CopySession | undefined;
    let copy: CopyIn | undefined;
    let done = 0;
    const write = async (lines: string): Promise<void> => {
      if (lines === '') return;
      session ??= await this.#begin();
      copy ??= session.copyIn(target.copy);
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
      const again = await this.#again(shard, source, target, folds.faulty);
      for (const { row, streamId } of again) if (row) await write(target.line(row, streamId));
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

  async #again(
    shard: BuildShard,
    source: ProjectionSource,
    target: StreamTarget,
    streams: readonly string[],
  ): Promise<CarefulFold[]> {
    const again: CarefulFold[] = [];
    if (streams.length === 0) return again;
    let room = await this.#parked.room();
    for (const streamId of streams) {
      this.#options.signal.throwIfAborted();
      const one = await foldCarefully(this.#options, { source, target }, { ...shard, streamId }, room);
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
    tellParks(this.#options.logger, parks);
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
  const loader = new ByStreamLoader(options, progress);
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
