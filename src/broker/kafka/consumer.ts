/**
 * One topic as this process reads it: all partitions, from their ends, in a consumer group of its own, so that nobody else’s
 * coming and going stops it. kafkajs gives up now and then, or stands still; then the consumer is thrown away and another
 * one is made, in another group.
 */
import { randomBytes } from 'node:crypto';
import type { Consumer, EachBatchPayload, Kafka } from 'kafkajs';
import { backoff, Bell, endedWithin, settled } from '../../platform/pause.js';
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

/** A fetch waits so long for records where there are none, and a partition that goes on so long for the next fetch. */
const MAX_WAIT_MS = 200;
const MAX_BYTES = 4 * 1024 * 1024;
const MAX_PARTITION_BYTES = 1024 * 1024;
const SESSION_MS = 30_000;
const HEARTBEAT_MS = 3_000;
/** A topic may have been made again, or its leaders moved, without an error that tells. */
const METADATA_MS = 60_000;
/** Without any sign of it for so long, a consumer stands still. Longer than a request may take. */
const STILL_MS = 20_000;
const LOOK_MS = 1_000;
/** It reads when a fetch was answered within this time. */
const FRESH_MS = 1_500;
/** Between two consumers. */
const SHORTEST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 2_000;
/** After this life, it begins with the shortest pause again. */
const LONG_LIFE_MS = 60_000;
/** After this, what is to end is left to itself. */
const END_MS = 3_000;

export class RecordConsumer {
  readonly #options: RecordConsumerOptions;
  readonly #bell = new Bell();
  readonly #running: Promise<void>;
  /** The one that has joined its group. */
  #joined: Consumer | undefined;
  #lastFetch = Number.NEGATIVE_INFINITY;
  #lastSign = 0;
  /** Ends the consumer of now. */
  #end: ((error: unknown) => void) | undefined;
  #stopping = false;
  readonly #skips = new Set<number>();
  #skipping: Promise<void> | undefined;

  constructor(options: RecordConsumerOptions) {
    this.#options = options;
    this.#running = this.#run();
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
  async stop(): Promise<void> {
    this.#stopping = true;
    this.#end?.(undefined);
    this.#bell.ring();
    await this.#running;
  }

  async #run(): Promise<void> {
    for (let failures = 0; !this.#stopping; failures++) {
      const began = performance.now();
      const error = await this.#live();
      if (this.#stopping) return;
      this.#options.lost(error);
      if (performance.now() - began > LONG_LIFE_MS) failures = 0;
      await this.#bell.wait(backoff(failures, SHORTEST_PAUSE_MS, LONGEST_PAUSE_MS));
    }
  }

  /** One consumer, from its begin to its end. @returns why it ended */
  async #live(): Promise<unknown> {
    const consumer = this.#make();
    const ended = new Promise<unknown>((resolve) => (this.#end = resolve));
    this.#lastSign = performance.now();
    const watch = setInterval(() => {
      const still = performance.now() - this.#lastSign;
      if (still > STILL_MS) this.#end?.(new Error(`the consumer gave no sign for ${Math.round(still)} ms`));
    }, LOOK_MS);
    this.#listen(consumer);
    const beginning = this.#begin(consumer);
    beginning.catch((error: unknown) => this.#end?.(error));
    const error = await ended;
    clearInterval(watch);
    this.#end = undefined;
    this.#joined = undefined;
    this.#lastFetch = Number.NEGATIVE_INFINITY;
    // Only after it has begun: kafkajs cannot stop what is still joining, and that would go on as nobody’s.
    const ending = settled(beginning).then(() => consumer.disconnect());
    await endedWithin(settled(ending), END_MS);
    return error;
  }

  #make(): Consumer {
    const { kafka, group } = this.#options;
    return kafka.consumer({
      groupId: `${group}.${randomBytes(6).toString('hex')}`,
      sessionTimeout: SESSION_MS,
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

  #listen(consumer: Consumer): void {
    const sign = (): void => {
      this.#lastSign = performance.now();
    };
    const { GROUP_JOIN, FETCH, HEARTBEAT, CRASH } = consumer.events;
    const end = this.#end;
    let fresh: readonly number[] = [];
    consumer.on(HEARTBEAT, sign);
    consumer.on(FETCH, () => {
      sign();
      if (this.#joined !== consumer) return;
      this.#lastFetch = performance.now();
      if (fresh.length > 0) this.#options.began(fresh);
      fresh = [];
    });
    // Before its first fetch: kafkajs calls its listeners at once.
    consumer.on(GROUP_JOIN, ({ payload }) => {
      sign();
      if (this.#end !== end) return;
      const { topic, wanted } = this.#options;
      this.#joined = consumer;
      fresh = payload.memberAssignment[topic] ?? [];
      for (const partition of fresh)
        if (!wanted(partition)) consumer.pause([{ topic, partitions: [partition] }]);
    });
    consumer.on(CRASH, ({ payload }) => end?.(payload.error));
  }

  async #begin(consumer: Consumer): Promise<void> {
    await consumer.connect();
    await consumer.subscribe({ topic: this.#options.topic });
    await consumer.run({
      autoCommit: false,
      eachBatchAutoResolve: false,
      eachBatch: (payload) => this.#take(consumer, payload),
    });
  }

  #take(consumer: Consumer, { batch, resolveOffset, isStale }: EachBatchPayload): Promise<void> {
    if (this.#joined !== consumer || isStale()) return Promise.resolve();
    this.#options.records(batch.partition, batch.messages);
    resolveOffset(batch.lastOffset());
    return Promise.resolve();
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
