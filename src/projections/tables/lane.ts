/**
 * The lane of a projection that a handler writes: batches of several shards go to the handler together, one transaction
 * at a time. What the handler cannot take is tried again, then halved, until the event at fault stands alone.
 */
import type { StoredEvent } from '../../domain/events.js';
import { readData } from '../../domain/events.js';
import type { AnyTables, TablesEvent } from '../../domain/tables.js';
import { TidemarkError } from '../../platform/errors.js';
import { jittered } from '../../platform/pause.js';
import type { Database } from '../../platform/postgres/database.js';
import { isRetryable } from '../../platform/postgres/sqlstate.js';
import { BatchQueue, progressUpto } from '../batch-queue.js';
import { stopAt, type Stop } from '../decode.js';
import type { BatchWriter, EventBatch, LaneOptions } from '../lane.js';
import { conflictOf } from '../write.js';
import { HandlerFailed, runHandler } from './handler-transaction.js';
import { WriteTables } from './write-tables.js';

export interface TablesLaneOptions extends Pick<LaneOptions, 'wrote'> {
  readonly db: Database;
  readonly projection: AnyTables;
}

/** Of a serialization failure or a deadlock, which say nothing of the events. */
const RETRIES = 5;
const PAUSE_MS = 50;

interface Decoded {
  readonly batch: EventBatch;
  /** Up to where it stopped. */
  readonly events: readonly TablesEvent[];
  readonly stop: Stop | undefined;
}

export class TablesLane implements BatchWriter {
  readonly #options: TablesLaneOptions;
  readonly #tables: WriteTables;
  readonly #queue: BatchQueue;

  constructor(options: TablesLaneOptions) {
    const { db, projection } = options;
    this.#options = options;
    this.#tables = new WriteTables(db.schema, projection);
    this.#queue = new BatchQueue({
      maxEvents: projection.batch,
      write: (batches) => this.#write(batches.map((batch) => this.#decode(batch))),
    });
  }

  submit(batch: EventBatch): Promise<Stop | undefined> {
    return this.#queue.submit(batch);
  }

  /** Nothing is remembered from one batch to the next. */
  forget(): void {}

  #decode(batch: EventBatch): Decoded {
    const { projection } = this.#options;
    const source = projection.sources.find(({ aggregate }) => aggregate.name === batch.source);
    if (!source)
      throw new TidemarkError('internal_error', `${projection.name} does not follow ${batch.source}`);
    const events: TablesEvent[] = [];
    for (const [at, stored] of batch.entries.entries()) {
      try {
        events.push(eventOf(stored, readData(source.aggregate.events[stored.type], stored)));
      } catch (error) {
        return { batch, events, stop: stopAt(batch.entries, at, error) };
      }
    }
    return { batch, events, stop: undefined };
  }

  /** One transaction for all, as often as `attempts` says; then each by itself, by halves. */
  async #write(all: readonly Decoded[]): Promise<(Stop | undefined)[]> {
    const { attempts } = this.#options.projection;
    const error = await this.#try(all, attempts);
    if (error === undefined) return all.map(({ stop }) => stop);
    const stops: (Stop | undefined)[] = [];
    for (const one of all) stops.push(await this.#search(one, all.length === 1 ? error : undefined));
    return stops;
  }

  /**
   * Writes what can be written of a batch, in its order.
   * @param failure what the whole of it was already tried with, as often as it may be
   */
  async #search(one: Decoded, failure?: HandlerFailed): Promise<Stop | undefined> {
    const { batch, events } = one;
    const single = events.length === 1;
    const error = failure ?? (await this.#try([one], single ? this.#options.projection.attempts : 1));
    if (error === undefined) return one.stop;
    if (single) return stopAt(batch.entries, 0, error);
    if (events.length === 0) throw error;
    const half = events.length >> 1;
    const first = await this.#search({
      batch: { ...batch, entries: batch.entries.slice(0, half) },
      events: events.slice(0, half),
      stop: undefined,
    });
    if (first) return first;
    const from = batch.entries[half - 1]?.seq ?? batch.from;
    const rest = { ...batch, from, entries: batch.entries.slice(half) };
    const stop = one.stop && { ...one.stop, at: one.stop.at - half };
    const second = await this.#search({ batch: rest, events: events.slice(half), stop });
    return second && { ...second, at: second.at + half };
  }

  /** @returns the last failure of the handler; undefined when all is in */
  async #try(all: readonly Decoded[], attempts: number): Promise<HandlerFailed | undefined> {
    let retries = 0;
    for (let attempt = 1; ; attempt++) {
      try {
        await this.#once(all);
        return undefined;
      } catch (error) {
        if (!(error instanceof HandlerFailed)) throw conflictOf(error) ?? error;
        if (isRetryable(error.cause) && retries++ < RETRIES) attempt--;
        else if (attempt >= attempts) return error;
        await new Promise((resolve) => setTimeout(resolve, jittered(PAUSE_MS * 2 ** Math.min(attempt, 4))));
      }
    }
  }

  async #once(all: readonly Decoded[]): Promise<void> {
    const { db, projection, wrote } = this.#options;
    const [first] = all;
    const lease = first?.batch.fence.lease;
    if (!lease) throw new TidemarkError('internal_error', `${projection.name} is written without a lease`);
    const progress = all
      .flatMap(({ batch, stop }) => progressUpto(batch, stop))
      .filter(({ from, til }) => til > from);
    if (progress.length === 0) return;
    const events = all.flatMap((one) => one.events);
    await runHandler(db, projection, this.#tables, { lease, progress, events });
    wrote({ progress, heads: [], entries: [], events: events.length, changes: 0, parks: [] });
  }
}

function eventOf(stored: StoredEvent, data: unknown): TablesEvent {
  const { category, type, tags, metadata, streamId, version, eventId, recordedAt } = stored;
  return { aggregate: category, type, data, tags, metadata, streamId, version, eventId, recordedAt };
}
