/** Makes topics with our number of partitions, checks those that are there, and takes away those of versions that are gone. */
import { isTidemarkError, TidemarkError } from '../../platform/errors.js';
import type { Logger } from '../../platform/logger.js';
import { backoff } from '../../platform/pause.js';
import { within, type Cluster } from './wire/cluster.js';
import { CODE, nameOfCode, refusal, translated, unavailable } from './wire/errors.js';
import { API } from './wire/link.js';

/** For all topics of one call to be there. */
const ENSURE_MS = 30_000;
/** A broker’s time to make or delete them, before it answers that it is still at it. */
const BROKER_MS = 4_000;
/** Times that they are made again where whoever is to make them does not answer. */
const MAKE_AGAIN = 5;
const SHORTEST_PAUSE_MS = 20;
const LONGEST_PAUSE_MS = 500;

/**
 * Whatever the brokers’ defaults are: a log that is compacted has holes, and readers outside do not heal them; and kafkajs
 * cannot read what a broker compresses with anything but gzip.
 */
const CONFIG = [
  { name: 'cleanup.policy', value: 'delete' },
  { name: 'compression.type', value: 'producer' },
];

/** Kafka’s word for "the brokers’ default". */
const DEFAULT_REPLICATION = -1;

export interface WantedTopic {
  readonly topic: string;
  readonly partitions: number;
}

const pause = (attempt: number): Promise<void> =>
  new Promise((resolve) => {
    setTimeout(resolve, backoff(attempt, SHORTEST_PAUSE_MS, LONGEST_PAUSE_MS));
  });

export class Topics {
  readonly #cluster: Cluster;
  readonly #replication: number | undefined;
  readonly #logger: Logger;

  constructor(cluster: Cluster, replication: number | undefined, logger: Logger) {
    this.#cluster = cluster;
    this.#replication = replication;
    this.#logger = logger;
  }

  /**
   * Resolves when all of them are there. Several processes may do it at once.
   * @throws TidemarkError `topic_mismatch` when one has another number of partitions; `broker_refused` when one may not
   *   be made; `broker_unavailable`
   */
  async ensure(wanted: readonly WantedTopic[]): Promise<void> {
    if (wanted.length === 0) return;
    const names = wanted.map(({ topic }) => topic);
    let over = false;
    const making = async (): Promise<void> => {
      for (let attempt = 0; !over; attempt++) {
        await this.#cluster.look(names);
        const missing = wanted.filter(({ topic }) => !this.#isThere(topic));
        if (missing.length === 0) break;
        if (!missing.every(({ topic }) => this.#isComing(topic))) await this.#tryToMake(missing, attempt);
        // A broker may not have heard of a topic yet that another one has made; nothing tells when it has.
        await pause(attempt);
      }
      for (const one of wanted) this.#check(one);
    };
    await within(ENSURE_MS, `the topics ${names.join(', ')} to be there`, making(), () => {
      over = true;
    });
  }

  /**
   * Deletes topics with all that is in them; those that are not there are passed over.
   * @throws TidemarkError `broker_refused`; `broker_unavailable`
   */
  async remove(topics: readonly string[]): Promise<void> {
    if (topics.length === 0) return;
    await this.#cluster.look(topics);
    const controller = await this.#cluster.controller();
    const what = `deleting the topics ${topics.join(', ')}`;
    const answer = await controller
      .ask(API.deleteTopics, { topics, timeout: BROKER_MS })
      .catch((error: unknown) => {
        throw translated(what, error);
      });
    for (const { topic, errorCode } of answer.topicErrors) {
      this.#cluster.forget(topic);
      if (errorCode !== CODE.none && errorCode !== CODE.unknownTopic)
        throw refusal(`deleting the topic ${topic}`, errorCode);
    }
  }

  #isThere(topic: string): boolean {
    const view = this.#cluster.view(topic);
    return view?.error === CODE.none && view.partitions.size > 0;
  }

  /** It was made, and has no leaders yet. */
  #isComing(topic: string): boolean {
    return this.#cluster.view(topic)?.error === CODE.leaderNotAvailable;
  }

  /** A broker that has just died is named as the controller for a while; the next look may name another one. */
  async #tryToMake(missing: readonly WantedTopic[], attempt: number): Promise<void> {
    try {
      await this.#make(missing);
    } catch (error) {
      if (attempt >= MAKE_AGAIN || !isTidemarkError(error, 'broker_unavailable')) throw error;
    }
  }

  async #make(missing: readonly WantedTopic[]): Promise<void> {
    for (const { topic } of missing) {
      const error = this.#cluster.view(topic)?.error ?? CODE.unknownTopic;
      if (error !== CODE.unknownTopic && error !== CODE.leaderNotAvailable)
        throw refusal(`looking up the topic ${topic}`, error);
    }
    const names = missing.map(({ topic }) => topic).join(', ');
    const controller = await this.#cluster.controller();
    const topics = missing.map(({ topic, partitions }) => ({
      topic,
      numPartitions: partitions,
      replicationFactor: this.#replication ?? DEFAULT_REPLICATION,
      configEntries: CONFIG,
    }));
    const answer = await controller
      .ask(API.createTopics, { topics, validateOnly: false, timeout: BROKER_MS })
      .catch((error: unknown) => {
        throw translated(`making the topics ${names}`, error);
      });
    for (const { topic, errorCode, errorMessage } of answer.topicErrors) {
      const partitions = missing.find((one) => one.topic === topic)?.partitions;
      if (errorCode === CODE.none) this.#logger.info({ topic, partitions }, 'a topic was made');
      if (([CODE.none, CODE.topicExists, CODE.notController, CODE.timedOut] as number[]).includes(errorCode))
        continue;
      const what = `making the topic ${topic} (${partitions} partitions, replication ${this.#replication ?? 'as the brokers have it'})`;
      throw refusal(what, errorCode, errorMessage);
    }
  }

  #check({ topic, partitions }: WantedTopic): void {
    const found = this.#cluster.view(topic)?.partitions.size;
    if (found === undefined)
      throw unavailable(`the topic ${topic} is not there (${nameOfCode(CODE.unknownTopic)})`);
    if (found === partitions) return;
    throw new TidemarkError(
      'topic_mismatch',
      `topic ${topic} has ${found} partitions, expected ${partitions}: as many as its log has shards`,
      { extra: { topic, found, expected: partitions } },
    );
  }
}
