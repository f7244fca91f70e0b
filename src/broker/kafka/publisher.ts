/**
 * The publisher on Kafka: one batch in flight a partition, acknowledged by all in-sync replicas, over a few connections. Not
 * idempotent: readers drop repeats by (epoch, seq), and kafkajs’s idempotent producer loses data.
 */
import { TidemarkError } from '../../platform/errors.js';
import type { Logger } from '../../platform/logger.js';
import type { OutgoingEntry, PartitionEnd, PublishedLog, Publisher, Tail, TopicInspector } from '../ports.js';
import { encodeEntry, topicOf, type OutgoingRecord } from './records.js';
import type { KafkaSettings } from './settings.js';
import { Tails, type End } from './tails.js';
import { Topics, type WantedTopic } from './topics.js';
import { encodeBatch, type Batch } from './wire/batch.js';
import { Cluster, within } from './wire/cluster.js';
import { CODE, refusal, translated, unavailable, whileMoving } from './wire/errors.js';
import { produce, type Produced } from './wire/produce.js';

export interface KafkaPublisherOptions {
  readonly settings: KafkaSettings;
  /** Name of the application, with which its topics begin. */
  readonly app: string;
  readonly logger: Logger;
  /** Connections to each broker that sends are spread over; 4 unless told otherwise. */
  readonly lanes?: number;
  /** For one batch to be acknowledged, from the look-up of its leader on; 10,000 ms unless told otherwise. */
  readonly sendMs?: number;
  /** Of a batch; 1,000,000 unless told otherwise. Brokers take 1,048,588 unless told otherwise. */
  readonly maxBatchBytes?: number;
}

interface Partition {
  readonly topic: string;
  readonly partition: number;
  readonly lane: number;
  /** Offset that the next record has at the least; undefined until the first look or send. */
  next: number | undefined;
  sending: boolean;
}

const TOO_LARGE: readonly number[] = [CODE.messageTooLarge, CODE.recordListTooLarge];

export class KafkaPublisher implements Publisher, TopicInspector {
  readonly #options: Required<KafkaPublisherOptions>;
  readonly #cluster: Cluster;
  readonly #topics: Topics;
  readonly #tails: Tails;
  readonly #partitions = new Map<string, Partition>();
  /** Topics that were there once, so that they are made again. */
  readonly #ensured = new Map<string, WantedTopic>();
  /** Of topics whose brokers take less than we would send. */
  readonly #limits = new Map<string, number>();
  #nextLane = 0;

  constructor(options: KafkaPublisherOptions) {
    this.#options = { lanes: 4, sendMs: 10_000, maxBatchBytes: 1_000_000, ...options };
    this.#cluster = new Cluster(options.settings, options.logger);
    this.#topics = new Topics(this.#cluster, options.settings.replication, options.logger);
    this.#tails = new Tails(this.#cluster);
  }

  async ensure(logs: readonly PublishedLog[], shards: number): Promise<void> {
    const wanted = logs.map((log) => ({ topic: topicOf(this.#options.app, log), partitions: shards }));
    await this.#topics.ensure(wanted);
    for (const one of wanted) this.#ensured.set(one.topic, one);
  }

  /**
   * Deletes topics of logs that are gone, with all that is in them; those that are not there are passed over.
   * @throws TidemarkError `broker_refused`; `broker_unavailable`
   */
  async remove(logs: readonly PublishedLog[]): Promise<void> {
    const topics = logs.map((log) => topicOf(this.#options.app, log));
    for (const topic of topics) this.#ensured.delete(topic);
    await whileMoving(() => this.#topics.remove(topics));
  }

  publish(
    log: PublishedLog,
    shard: number,
    entries: readonly OutgoingEntry[],
    check?: () => void,
  ): Promise<void> {
    const { app } = this.#options;
    const records = entries.map((entry) => encodeEntry(app, entry));
    return this.send(topicOf(app, log), shard, records, check);
  }

  /** As `publish`, of records that are none of a log. @throws as `publish` */
  async send(
    topic: string,
    partition: number,
    records: readonly OutgoingRecord[],
    check: () => void = () => undefined,
  ): Promise<void> {
    const place = this.#place(topic, partition);
    if (place.sending) throw new Error(`partition ${partition} of ${topic}: one send at a time`);
    place.sending = true;
    try {
      for (let from = 0; from < records.length;) {
        const maxBytes = this.#limits.get(topic) ?? this.#options.maxBatchBytes;
        const batch = encodeBatch(records, from, maxBytes, Date.now());
        if (await this.#sendBatch(place, batch, check, records[from])) from += batch.count;
      }
    } finally {
      place.sending = false;
    }
  }

  async tail(log: PublishedLog, shard: number): Promise<PartitionEnd> {
    const place = this.#place(topicOf(this.#options.app, log), shard);
    const looking = (): Promise<End> => whileMoving(() => this.#tails.end(place.topic, shard));
    const { end, next } = await looking().catch(async (error: unknown) => {
      const wanted = this.#ensured.get(place.topic);
      const gone = this.#cluster.view(place.topic)?.error === CODE.unknownTopic;
      if (!wanted || !gone) throw error;
      this.#options.logger.warn({ topic: place.topic }, 'a topic is gone; it is made again');
      await this.#topics.ensure([wanted]);
      return looking();
    });
    place.next = next;
    return end;
  }

  async brokers(): Promise<number> {
    await this.#cluster.look([]);
    return this.#cluster.size;
  }

  async topic(
    log: PublishedLog,
  ): Promise<{ readonly name: string; readonly partitions: number | undefined }> {
    const name = topicOf(this.#options.app, log);
    await this.#cluster.look([name]);
    const view = this.#cluster.view(name);
    if (view && view.error !== CODE.none && view.error !== CODE.unknownTopic)
      throw refusal(`looking up the topic ${name}`, view.error);
    return { name, partitions: view?.error === CODE.none ? view.partitions.size : undefined };
  }

  bounds(log: PublishedLog, shard: number): Promise<{ readonly first: number; readonly next: number }> {
    return whileMoving(() => this.#tails.bounds(topicOf(this.#options.app, log), shard));
  }

  recordFrom(
    log: PublishedLog,
    shard: number,
    offset: number,
  ): Promise<(Tail & { readonly offset: number }) | undefined> {
    return whileMoving(() => this.#tails.recordFrom(topicOf(this.#options.app, log), shard, offset));
  }

  /** Ends all connections; what is still being sent rejects. May be called twice. */
  stop(): Promise<void> {
    this.#cluster.close();
    return Promise.resolve();
  }

  #place(topic: string, partition: number): Partition {
    const id = `${topic}/${partition}`;
    const known = this.#partitions.get(id);
    if (known) return known;
    const lane = this.#nextLane++ % this.#options.lanes;
    const place: Partition = { topic, partition, lane, next: undefined, sending: false };
    this.#partitions.set(id, place);
    return place;
  }

  /** True when it is there; false when it has to be cut smaller first. */
  async #sendBatch(
    place: Partition,
    batch: Batch,
    check: () => void,
    first: OutgoingRecord | undefined,
  ): Promise<boolean> {
    const { topic, partition } = place;
    const where = `partition ${partition} of ${topic}`;
    const answer = await whileMoving(() => this.#attempt(place, batch, check));
    if (TOO_LARGE.includes(answer.error)) {
      if (batch.count === 1) throw tooLarge(where, batch, first);
      this.#limits.set(topic, Math.floor(batch.bytes.length / 2));
      return false;
    }
    const expected = place.next ?? 0;
    place.next = answer.baseOffset + batch.count;
    if (answer.baseOffset >= expected) return true;
    throw new TidemarkError(
      'topic_remade',
      `${where} goes on at offset ${answer.baseOffset}, expected ${expected} or more: its topic was made again, or it lost its end`,
      { extra: { topic, partition, baseOffset: answer.baseOffset, expected } },
    );
  }

  /** @throws TidemarkError `broker_unavailable`; `broker_refused`; what `check` throws */
  #attempt(place: Partition, batch: Batch, check: () => void): Promise<Produced> {
    const { topic, partition } = place;
    const { sendMs } = this.#options;
    const where = `partition ${partition} of ${topic}`;
    let over = false;
    let retire = (): void => undefined;
    const attempt = async (): Promise<Produced> => {
      const link = await this.#cluster.leader(`send-${place.lane}`, topic, partition);
      // Nobody waits for it any more; the caller may have sent it again.
      if (over) throw unavailable(`${where}: too late`);
      check();
      retire = () => link.retire();
      const timeoutMs = Math.floor(sendMs * 0.8);
      const answer = await produce(link, topic, partition, batch.bytes, timeoutMs).catch((error: unknown) => {
        this.#cluster.forget(topic);
        throw translated(where, error);
      });
      if (answer.error === CODE.none || TOO_LARGE.includes(answer.error)) return answer;
      this.#cluster.forget(topic);
      throw refusal(where, answer.error);
    };
    return within(sendMs, where, attempt(), () => {
      over = true;
      retire();
    });
  }
}

function tooLarge(where: string, batch: Batch, record: OutgoingRecord | undefined): TidemarkError {
  const key = JSON.stringify(record?.key?.toString() ?? null).slice(0, 100);
  const seq = record?.headers['ce_seq'] ?? 'none';
  return new TidemarkError(
    'record_too_large',
    `${where}: the record of key ${key}, seq ${seq}, is ${batch.bytes.length} bytes, more than the topic takes (max.message.bytes)`,
  );
}
