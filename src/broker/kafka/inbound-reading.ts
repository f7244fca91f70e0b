/**
 * One topic of another system as one member of a consumer group reads it. The group shares the partitions out and keeps the
 * offsets; that two members work at one partition for a moment is known and does no harm. kafkajs gives up now and then, or
 * stands still; then the consumer is thrown away and another one is made.
 *
 * Records are never handled inside of kafkajs’s own loop, which would keep all partitions of a broker waiting for one, and
 * the group for both: it only fills lanes, pauses those that are full, and goes on with its heartbeats.
 */
import type { Consumer, EachBatchPayload, Kafka } from 'kafkajs';
import { messageOf } from '../../platform/errors.js';
import type { Logger } from '../../platform/logger.js';
import { backoff, Bell, endedWithin, settled } from '../../platform/pause.js';
import type { ReadRecordsRequest, RecordReading } from '../ports.js';
import { isOfType } from './error-type.js';
import { InboundLane } from './inbound-lane.js';
import { InboundOffsets } from './inbound-offsets.js';

export interface InboundReadingOptions {
  readonly kafka: Pick<Kafka, 'consumer'>;
  readonly logger: Logger;
  readonly request: ReadRecordsRequest;
}

const MAX_WAIT_MS = 200;
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
/** Partitions may be added, and leaders move without an error that tells. */
const METADATA_MS = 60_000;
/** Without any sign for so long, a consumer stands still. Longer than a rebalance may take. */
const STILL_MS = 40_000;
const LOOK_MS = 1_000;
const SHORTEST_PAUSE_MS = 200;
const LONGEST_PAUSE_MS = 5_000;
/** After this life, it begins with the shortest pause again. */
const LONG_LIFE_MS = 60_000;
/** After this, what is to end is left to itself. */
const END_MS = 3_000;
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
  end(error: unknown): void;
}

export class InboundReading implements RecordReading {
  readonly #options: InboundReadingOptions;
  readonly #running: Promise<void>;
  readonly #offsets: InboundOffsets;
  readonly #rest = new Bell();
  /** By partition: the end of the lane that had it last. */
  readonly #endings = new Map<number, Promise<void>>();
  #life: Life | undefined;
  #lastSign = 0;
  #trouble: string | undefined;
  #stopping = false;

  constructor(options: InboundReadingOptions) {
    this.#options = options;
    this.#offsets = new InboundOffsets({
      topic: options.request.topic,
      current: () => this.#life && { consumer: this.#life.consumer, done: this.#done(this.#life) },
    });
    this.#running = this.#run();
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
    this.#stopping = true;
    // Lanes first, so that their last offsets are committed while there is somebody to do so.
    await this.#endLanes(this.#life);
    await this.#offsets.stop();
    this.#life?.end(undefined);
    this.#rest.ring();
    await this.#running;
    await Promise.all(this.#endings.values());
  }

  async #run(): Promise<void> {
    const { logger, request } = this.#options;
    for (let failures = 0; !this.#stopping; failures++) {
      const began = performance.now();
      const error = await this.#live();
      if (this.#stopping) return;
      const reason = this.#reasonOf(error);
      // Once, until it has read again.
      if (this.#trouble === undefined)
        logger.warn({ topic: request.topic, group: request.group, reason }, 'a topic cannot be read');
      this.#trouble = reason;
      if (performance.now() - began > LONG_LIFE_MS) failures = 0;
      await this.#rest.wait(backoff(failures, SHORTEST_PAUSE_MS, LONGEST_PAUSE_MS));
    }
  }

  #reasonOf(error: unknown): string {
    const { topic } = this.#options.request;
    return isOfType(error, 'UNKNOWN_TOPIC_OR_PARTITION')
      ? `there is no topic ${topic}`
      : `topic ${topic} cannot be read: ${messageOf(error)}`;
  }

  /** One consumer, from its begin to its end. @returns why it ended */
  async #live(): Promise<unknown> {
    const consumer = this.#make();
    let end: Life['end'] = () => undefined;
    const ended = new Promise<unknown>((resolve) => (end = resolve));
    const life: Life = { consumer, lanes: new Map(), paused: new Set(), lost: new Map(), end };
    this.#life = life;
    this.#lastSign = performance.now();
    const watch = setInterval(() => {
      const still = performance.now() - this.#lastSign;
      if (still > STILL_MS) end(new Error(`the consumer gave no sign for ${Math.round(still)} ms`));
    }, LOOK_MS);
    this.#listen(life);
    const beginning = this.#begin(life);
    beginning.catch(end);
    const error = await ended;
    clearInterval(watch);
    this.#life = undefined;
    void this.#endLanes(life);
    // Only after it has begun: kafkajs cannot stop what is still joining, and that would go on as nobody’s.
    const ending = settled(beginning).then(() => consumer.disconnect());
    await endedWithin(settled(ending), END_MS);
    return error;
  }

  #make(): Consumer {
    return this.#options.kafka.consumer({
      groupId: this.#options.request.group,
      sessionTimeout: SESSION_MS,
      rebalanceTimeout: REBALANCE_MS,
      heartbeatInterval: HEARTBEAT_MS,
      metadataMaxAge: METADATA_MS,
      maxWaitTimeInMs: MAX_WAIT_MS,
      minBytes: 1,
      maxBytes: MAX_BYTES,
      maxBytesPerPartition: MAX_PARTITION_BYTES,
      allowAutoTopicCreation: false,
      // A consumer that crashed is ours to replace.
      retry: { restartOnFailure: () => Promise.resolve(false) },
    });
  }

  #listen(life: Life): void {
    const { consumer } = life;
    const { GROUP_JOIN, FETCH, HEARTBEAT, CRASH } = consumer.events;
    const sign = (): void => {
      this.#lastSign = performance.now();
    };
    consumer.on(HEARTBEAT, sign);
    consumer.on(FETCH, () => {
      sign();
      if (this.#life === life) this.#trouble = undefined;
    });
    // kafkajs calls its listeners at once, before the first fetch of the new assignment.
    consumer.on(GROUP_JOIN, ({ payload }) => {
      sign();
      if (this.#life === life && !this.#stopping)
        this.#assign(life, payload.memberAssignment[this.#options.request.topic] ?? []);
    });
    consumer.on(CRASH, ({ payload }) => life.end(payload.error));
  }

  async #begin(life: Life): Promise<void> {
    const { consumer } = life;
    await consumer.connect();
    // Also where an offset is gone by retention: without it, it would go on at the end.
    await consumer.subscribe({ topic: this.#options.request.topic, fromBeginning: true });
    await consumer.run({
      autoCommit: false,
      eachBatchAutoResolve: false,
      eachBatch: (payload) => this.#take(life, payload),
    });
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

  #take(life: Life, { batch, resolveOffset, isStale }: EachBatchPayload): Promise<void> {
    const { partition } = batch;
    const lane = life.lanes.get(partition);
    if (this.#life !== life || lane === undefined || isStale()) return Promise.resolve();
    const last = batch.lastOffset();
    lane.offer(batch.messages, Number(last) + 1, Number(batch.highWatermark));
    resolveOffset(last);
    if (lane.bytes > this.#share(life)) {
      life.paused.add(partition);
      life.consumer.pause([{ topic: batch.topic, partitions: [partition] }]);
    }
    return Promise.resolve();
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
