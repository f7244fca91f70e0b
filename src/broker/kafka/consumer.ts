/**
 * One topic as this process reads it: all partitions, from their ends, in a consumer group of its own, so that nobody else’s
 * coming and going stops it; each consumer in another group than the one before.
 */
import { randomBytes } from 'node:crypto';
import type { Consumer, ConsumerConfig, Kafka } from 'kafkajs';
import { endedWithin, settled } from '../../platform/pause.js';
import { ConsumerLife, type ConsumerUser } from './consumer-life.js';
import type { IncomingRecord } from './records.js';

export interface RecordConsumerOptions {
  readonly kafka: Pick<Kafka, 'consumer' | 'admin'>;
  readonly topic: string;
  /** Group ids begin with it. */
  readonly group: string;
  /** Called with what was fetched, in the order of the partition. Not to wait in, and not to throw. */
  records(partition: number, records: readonly IncomingRecord[]): void;
  /** Whether records of a partition are to come; asked when a consumer begins. */
  wanted(partition: number): boolean;
  /** Partitions were at their ends a moment ago, and are read from there: what came right before it, nobody has told of. */
  began(partitions: readonly number[]): void;
  /** The consumer is lost, or could not be made; another one is tried soon. */
  lost(error: unknown): void;
}

const MAX_BYTES = 4 * 1024 * 1024;
const MAX_PARTITION_BYTES = 1024 * 1024;
const SESSION_MS = 30_000;
const HEARTBEAT_MS = 3_000;
/** Without any sign of it for so long, a consumer stands still. Longer than a request may take. */
const STILL_MS = 20_000;
/** It reads when a fetch was answered within this time. */
const FRESH_MS = 1_500;
/** Between two consumers. */
const SHORTEST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 2_000;
/** After this, a look at the ends is left to itself. */
const END_MS = 3_000;

export class RecordConsumer {
  readonly #options: RecordConsumerOptions;
  readonly #life: ConsumerLife;
  /** The one that has joined its group. */
  #joined: Consumer | undefined;
  #lastFetch = Number.NEGATIVE_INFINITY;
  readonly #skips = new Set<number>();
  #skipping: Promise<void> | undefined;

  constructor(options: RecordConsumerOptions) {
    this.#options = options;
    const { kafka, topic } = options;
    this.#life = new ConsumerLife({
      kafka,
      topic,
      fromBeginning: false,
      stillMs: STILL_MS,
      shortestPauseMs: SHORTEST_PAUSE_MS,
      longestPauseMs: LONGEST_PAUSE_MS,
      config: () => this.#config(),
      made: (consumer) => this.#made(consumer),
      lost: (error) => options.lost(error),
    });
  }

  /** Records come as they are written, as far as one can tell. */
  get live(): boolean {
    return performance.now() - this.#lastFetch < FRESH_MS;
  }

  /** No record of the partition is fetched any more; one that is under way may still come. */
  pause(partition: number): void {
    this.#skips.delete(partition);
    this.#joined?.pause([{ topic: this.#options.topic, partitions: [partition] }]);
  }

  /** Goes on where it was, or at the end of the partition, where all before it is read elsewhere. */
  resume(partition: number, atEnd: boolean): void {
    if (!this.#joined) return;
    if (!atEnd) {
      this.#resume([partition]);
      return;
    }
    this.#skips.add(partition);
    if (!this.#skipping) this.#skipping = this.#skip().finally(() => (this.#skipping = undefined));
  }

  /** Resolves when no record comes any more, within seconds. May be called twice. */
  stop(): Promise<void> {
    return this.#life.stop();
  }

  #config(): ConsumerConfig {
    return {
      groupId: `${this.#options.group}.${randomBytes(6).toString('hex')}`,
      sessionTimeout: SESSION_MS,
      heartbeatInterval: HEARTBEAT_MS,
      maxBytes: MAX_BYTES,
      maxBytesPerPartition: MAX_PARTITION_BYTES,
    };
  }

  #made(consumer: Consumer): ConsumerUser {
    const { topic, wanted } = this.#options;
    let fresh: readonly number[] = [];
    return {
      joined: (partitions) => {
        this.#joined = consumer;
        fresh = partitions;
        for (const partition of fresh)
          if (!wanted(partition)) consumer.pause([{ topic, partitions: [partition] }]);
      },
      fetched: () => {
        this.#lastFetch = performance.now();
        if (fresh.length > 0) this.#options.began(fresh);
        fresh = [];
      },
      take: ({ batch, resolveOffset }) => {
        this.#options.records(batch.partition, batch.messages);
        resolveOffset(batch.lastOffset());
      },
      over: () => {
        this.#joined = undefined;
        this.#lastFetch = Number.NEGATIVE_INFINITY;
      },
    };
  }

  #resume(partitions: readonly number[]): void {
    const { topic, wanted } = this.#options;
    const still = partitions.filter((partition) => wanted(partition));
    if (still.length > 0) this.#joined?.resume([{ topic, partitions: still }]);
  }

  /** Moves to the ends of partitions, together with those that are asked for in the same moment; without them, it goes on all the same. */
  async #skip(): Promise<void> {
    await new Promise(setImmediate);
    const consumer = this.#joined;
    const { kafka, topic } = this.#options;
    const admin = kafka.admin({ retry: { retries: 1 } });
    let ends: readonly { readonly partition: number; readonly high: string }[] = [];
    const look = (async () => {
      await admin.connect();
      ends = await admin.fetchTopicOffsets(topic);
    })();
    await endedWithin(settled(look), END_MS);
    void settled(settled(look).then(() => admin.disconnect()));
    const skipped = new Set(this.#skips);
    this.#skips.clear();
    if (!consumer || this.#joined !== consumer) return;
    for (const { partition, high } of ends)
      if (skipped.has(partition)) consumer.seek({ topic, partition, offset: high });
    this.#resume([...skipped]);
    this.#options.began([...skipped]);
  }
}
