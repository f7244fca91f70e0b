/**
 * A topic that is read for as long as it takes. kafkajs gives up now and then, or stands still; then the consumer is thrown
 * away and another one is made.
 */
import type { Consumer, ConsumerConfig, EachBatchPayload, Kafka } from 'kafkajs';
import { backoff, Bell, endedWithin, settled } from '../../platform/pause.js';

/** Who reads by one consumer. Called while it is the one of now; none of this is to wait in, or to throw. */
export interface ConsumerUser {
  /** Each time that it joined its group: the partitions that are its own, before the first fetch of them. */
  joined(partitions: readonly number[]): void;
  /** A fetch was answered, be it without records. */
  fetched(): void;
  /** What was fetched of one partition; to be resolved. */
  take(payload: EachBatchPayload): void;
  /** It is the one of now no more. */
  over(): void;
}

export interface ConsumerLifeOptions {
  readonly kafka: Pick<Kafka, 'consumer'>;
  readonly topic: string;
  /** Begins at the first record where the group has no offset, or one that is gone by retention; else at the end. */
  readonly fromBeginning: boolean;
  /** Without any sign of it for so long, a consumer stands still; milliseconds. */
  readonly stillMs: number;
  /** Between two consumers; milliseconds. */
  readonly shortestPauseMs: number;
  readonly longestPauseMs: number;
  /** Asked for each consumer. */
  config(): ConsumerConfig;
  /** A consumer was made, and begins now. */
  made(consumer: Consumer): ConsumerUser;
  /** A consumer is lost, or could not be made; another one is tried soon. */
  lost(error: unknown): void;
}

/** A fetch waits so long for records where there are none, and a partition that goes on so long for the next fetch. */
const MAX_WAIT_MS = 200;
/** A topic may have been made again or got more partitions, or its leaders moved, without an error that tells. */
const METADATA_MS = 60_000;
const LOOK_MS = 1_000;
/** After this life, it begins with the shortest pause again. */
const LONG_LIFE_MS = 60_000;
/** After this, what is to end is left to itself. */
const END_MS = 3_000;

/** One consumer. */
interface Turn {
  readonly consumer: Consumer;
  readonly user: ConsumerUser;
  lastSign: number;
  end(error: unknown): void;
}

export class ConsumerLife {
  readonly #options: ConsumerLifeOptions;
  readonly #rest = new Bell();
  readonly #running: Promise<void>;
  /** The one of now. */
  #turn: Turn | undefined;
  #stopping = false;

  constructor(options: ConsumerLifeOptions) {
    this.#options = options;
    this.#running = this.#run();
  }

  /** The consumer of now goes on with the partitions that it has, and is the last. */
  noMore(): void {
    this.#stopping = true;
  }

  /** Resolves when no record comes any more, within seconds. May be called twice. */
  async stop(): Promise<void> {
    this.noMore();
    this.#turn?.end(undefined);
    this.#rest.ring();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { shortestPauseMs, longestPauseMs } = this.#options;
    for (let failures = 0; !this.#stopping; failures++) {
      const began = performance.now();
      const error = await this.#live();
      if (this.#stopping) return;
      this.#options.lost(error);
      if (performance.now() - began > LONG_LIFE_MS) failures = 0;
      await this.#rest.wait(backoff(failures, shortestPauseMs, longestPauseMs));
    }
  }

  /** One consumer, from its begin to its end. @returns why it ended */
  async #live(): Promise<unknown> {
    const consumer = this.#make();
    let end: Turn['end'] = () => undefined;
    const ended = new Promise<unknown>((resolve) => (end = resolve));
    const user = this.#options.made(consumer);
    const turn: Turn = { consumer, user, lastSign: performance.now(), end };
    this.#turn = turn;
    const watch = setInterval(() => {
      const still = performance.now() - turn.lastSign;
      if (still > this.#options.stillMs)
        end(new Error(`the consumer gave no sign for ${Math.round(still)} ms`));
    }, LOOK_MS);
    this.#listen(turn);
    const beginning = this.#begin(turn);
    beginning.catch(end);
    const error = await ended;
    clearInterval(watch);
    this.#turn = undefined;
    user.over();
    // Only after it has begun: kafkajs cannot stop what is still joining, and that would go on as nobody’s.
    const ending = settled(beginning).then(() => consumer.disconnect());
    await endedWithin(settled(ending), END_MS);
    return error;
  }

  #make(): Consumer {
    return this.#options.kafka.consumer({
      ...this.#options.config(),
      metadataMaxAge: METADATA_MS,
      maxWaitTimeInMs: MAX_WAIT_MS,
      minBytes: 1,
      allowAutoTopicCreation: false,
      // A consumer that crashed is ours to replace.
      retry: { restartOnFailure: () => Promise.resolve(false) },
    });
  }

  #listen(turn: Turn): void {
    const { consumer, user } = turn;
    const { GROUP_JOIN, FETCH, HEARTBEAT, CRASH } = consumer.events;
    const sign = (): void => {
      turn.lastSign = performance.now();
    };
    consumer.on(HEARTBEAT, sign);
    consumer.on(FETCH, () => {
      sign();
      if (this.#turn === turn) user.fetched();
    });
    // kafkajs calls its listeners at once, before the first fetch of the new assignment.
    consumer.on(GROUP_JOIN, ({ payload }) => {
      sign();
      if (this.#turn === turn && !this.#stopping)
        user.joined(payload.memberAssignment[this.#options.topic] ?? []);
    });
    consumer.on(CRASH, ({ payload }) => turn.end(payload.error));
  }

  async #begin(turn: Turn): Promise<void> {
    const { topic, fromBeginning } = this.#options;
    const { consumer, user } = turn;
    await consumer.connect();
    await consumer.subscribe({ topic, fromBeginning });
    await consumer.run({
      autoCommit: false,
      eachBatchAutoResolve: false,
      eachBatch: (payload) => {
        if (this.#turn === turn && !payload.isStale()) user.take(payload);
        return Promise.resolve();
      },
    });
  }
}
