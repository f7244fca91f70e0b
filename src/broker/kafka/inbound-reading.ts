/**
 * One topic of another system as one member of a consumer group reads it. The group shares the partitions out and keeps the
 * offsets; that two members work at one partition for a moment is known and does no harm.
 *
 * Records are never handled inside of kafkajs’s own loop, which would keep all partitions of a broker waiting for one, and
 * the group for both: it only fills lanes, pauses those that are full, and goes on with its heartbeats.
 */
import type { Consumer, ConsumerConfig, EachBatchPayload, Kafka } from 'kafkajs';
import { messageOf } from '../../platform/errors.js';
import type { Logger } from '../../platform/logger.js';
import type { ReadRecordsRequest, RecordReading } from '../ports.js';
import { ConsumerLife, type ConsumerUser } from './consumer-life.js';
import { isOfType } from './error-type.js';
import { InboundLane } from './inbound-lane.js';
import { InboundOffsets } from './inbound-offsets.js';

export interface InboundReadingOptions {
  readonly kafka: Pick<Kafka, 'consumer'>;
  readonly logger: Logger;
  readonly request: ReadRecordsRequest;
}

const MAX_BYTES = 1024 * 1024;
const MAX_PARTITION_BYTES = 256 * 1024;
/** What all lanes hold together, about; a lane is paused beyond its share of it, and asks for more below half of that. */
const HELD_BYTES = 32 * 1024 * 1024;
const SMALLEST_SHARE = 16 * 1024;
const LARGEST_SHARE = 1024 * 1024;
/** A member that was killed is missed after this. */
const SESSION_MS = 10_000;
const REBALANCE_MS = 20_000;
const HEARTBEAT_MS = 1_000;
/** Without any sign for so long, a consumer stands still. Longer than a rebalance may take. */
const STILL_MS = 40_000;
const SHORTEST_PAUSE_MS = 200;
const LONGEST_PAUSE_MS = 5_000;
/** No fetch is under way for longer than this. */
const LONGEST_FETCH_MS = 30_000;

/** Of one consumer: the partitions that are its own. */
interface Life {
  readonly consumer: Consumer;
  readonly lanes: Map<number, InboundLane>;
  /** Partitions whose lanes are full. */
  readonly paused: Set<number>;
  /** By partition, the first record that was not done when it was taken away. */
  readonly lost: Map<number, { readonly at: number; readonly done: number | undefined }>;
}

export class InboundReading implements RecordReading {
  readonly #options: InboundReadingOptions;
  readonly #consumers: ConsumerLife;
  readonly #offsets: InboundOffsets;
  /** By partition: the end of the lane that had it last. */
  readonly #endings = new Map<number, Promise<void>>();
  #life: Life | undefined;
  #trouble: string | undefined;

  constructor(options: InboundReadingOptions) {
    this.#options = options;
    this.#offsets = new InboundOffsets({
      topic: options.request.topic,
      current: () => this.#life && { consumer: this.#life.consumer, done: this.#done(this.#life) },
    });
    const { kafka, request } = options;
    this.#consumers = new ConsumerLife({
      kafka,
      topic: request.topic,
      // Also where an offset is gone by retention: without it, it would go on at the end.
      fromBeginning: true,
      stillMs: STILL_MS,
      shortestPauseMs: SHORTEST_PAUSE_MS,
      longestPauseMs: LONGEST_PAUSE_MS,
      config: () => this.#config(),
      made: (consumer) => this.#made(consumer),
      lost: (error) => this.#lost(error),
    });
  }

  get trouble(): string | undefined {
    return this.#trouble;
  }

  get behind(): number {
    let sum = 0;
    for (const lane of this.#life?.lanes.values() ?? []) sum += lane.behind;
    return sum;
  }

  async stop(): Promise<void> {
    this.#consumers.noMore();
    // Lanes first, so that their last offsets are committed while there is somebody to do so.
    await this.#endLanes(this.#life);
    await this.#offsets.stop();
    await this.#consumers.stop();
    await Promise.all(this.#endings.values());
  }

  #lost(error: unknown): void {
    const { logger, request } = this.#options;
    const reason = this.#reasonOf(error);
    // Once, until it has read again.
    if (this.#trouble === undefined)
      logger.warn({ topic: request.topic, group: request.group, reason }, 'a topic cannot be read');
    this.#trouble = reason;
  }

  #reasonOf(error: unknown): string {
    const { topic } = this.#options.request;
    return isOfType(error, 'UNKNOWN_TOPIC_OR_PARTITION')
      ? `there is no topic ${topic}`
      : `topic ${topic} cannot be read: ${messageOf(error)}`;
  }

  #config(): ConsumerConfig {
    return {
      groupId: this.#options.request.group,
      sessionTimeout: SESSION_MS,
      rebalanceTimeout: REBALANCE_MS,
      heartbeatInterval: HEARTBEAT_MS,
      maxBytes: MAX_BYTES,
      maxBytesPerPartition: MAX_PARTITION_BYTES,
    };
  }

  #made(consumer: Consumer): ConsumerUser {
    const life: Life = { consumer, lanes: new Map(), paused: new Set(), lost: new Map() };
    this.#life = life;
    return {
      joined: (partitions) => this.#assign(life, partitions),
      fetched: () => {
        this.#trouble = undefined;
      },
      take: (payload) => this.#take(life, payload),
      over: () => {
        this.#life = undefined;
        void this.#endLanes(life);
      },
    };
  }

  /**
   * Each time that the group joined. A fetch of before may still be under way, and would move the new assignment’s position
   * past records that nobody had: so positions of what was ours a moment ago are set by us.
   */
  #assign(life: Life, partitions: readonly number[]): void {
    const { topic } = this.#options.request;
    const { consumer, lanes, lost } = life;
    const now = performance.now();
    for (const [partition, lane] of lanes) {
      if (partitions.includes(partition)) continue;
      lost.set(partition, { at: now, done: lane.rest });
      lanes.delete(partition);
      this.#endLane(partition, lane);
    }
    for (const partition of partitions) {
      const lane = lanes.get(partition);
      const before = lost.get(partition);
      const from = lane ? lane.end : before && now - before.at < LONGEST_FETCH_MS ? before.done : undefined;
      if (from !== undefined) consumer.seek({ topic, partition, offset: String(from) });
      if (lane === undefined) {
        lanes.set(partition, this.#lane(life, partition));
        life.paused.delete(partition);
        consumer.resume([{ topic, partitions: [partition] }]);
      }
      lost.delete(partition);
    }
  }

  #lane(life: Life, partition: number): InboundLane {
    const { request } = this.#options;
    this.#offsets.forget(partition);
    return new InboundLane({
      request,
      partition,
      after: this.#endings.get(partition) ?? Promise.resolve(),
      moved: () => this.#offsets.moved(),
      hungry: () => this.#feed(life, partition),
    });
  }

  /** Of the bytes that may wait, what is one lane’s. */
  #share({ lanes }: Life): number {
    return Math.min(LARGEST_SHARE, Math.max(SMALLEST_SHARE, HELD_BYTES / Math.max(1, lanes.size)));
  }

  #take(life: Life, { batch, resolveOffset }: EachBatchPayload): void {
    const { partition } = batch;
    const lane = life.lanes.get(partition);
    if (lane === undefined) return;
    const last = batch.lastOffset();
    lane.offer(batch.messages, Number(last) + 1, Number(batch.highWatermark));
    resolveOffset(last);
    if (lane.bytes > this.#share(life)) {
      life.paused.add(partition);
      life.consumer.pause([{ topic: batch.topic, partitions: [partition] }]);
    }
  }

  #feed(life: Life, partition: number): void {
    const lane = life.lanes.get(partition);
    const { topic } = this.#options.request;
    if (this.#life !== life || lane === undefined || lane.bytes > this.#share(life) / 2) return;
    if (life.paused.delete(partition)) life.consumer.resume([{ topic, partitions: [partition] }]);
  }

  #endLane(partition: number, lane: InboundLane): void {
    const before = this.#endings.get(partition) ?? Promise.resolve();
    const ending = Promise.all([before, lane.stop()]).then(() => {
      if (this.#endings.get(partition) === ending) this.#endings.delete(partition);
    });
    this.#endings.set(partition, ending);
  }

  async #endLanes(life: Life | undefined): Promise<void> {
    for (const [partition, lane] of life?.lanes ?? []) this.#endLane(partition, lane);
    await Promise.all(this.#endings.values());
  }

  /** Of the partitions that are ours, how far each is done. */
  #done({ lanes }: Life): ReadonlyMap<number, number> {
    const done = new Map<number, number>();
    for (const [partition, lane] of lanes) if (lane.done !== undefined) done.set(partition, lane.done);
    return done;
  }
}
