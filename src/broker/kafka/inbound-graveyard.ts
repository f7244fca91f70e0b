/**
 * Dead letters of other systems’ topics: the records as they came, in a topic of one partition, so that they stand in the
 * order in which they were given up. Few and far between: one producer of kafkajs, one send in flight a topic.
 */
import { Partitioners, type IHeaders, type Kafka, type Producer } from 'kafkajs';
import { TidemarkError } from '../../platform/errors.js';
import type { ForeignRecord, RecordGraveyard } from '../ports.js';
import { isOfType } from './error-type.js';
import { deadLettersTopic } from './records.js';
import { translated } from './wire/errors.js';

export interface KafkaGraveyardOptions {
  readonly kafka: Pick<Kafka, 'producer' | 'admin'>;
  readonly app: string;
  /** Copies of what it makes; undefined: what the brokers take for their default. */
  readonly replication: number | undefined;
}

const PARTITION = 0;
const SEND_MS = 10_000;
/** What Kafka is asked for where its own default is wanted. */
const BROKERS_DEFAULT = -1;

const TOO_LARGE = ['MESSAGE_TOO_LARGE', 'RECORD_LIST_TOO_LARGE'] as const;

const quietly = (work: Promise<unknown>): Promise<void> =>
  work.then(
    () => undefined,
    () => undefined,
  );

export class KafkaGraveyard implements RecordGraveyard {
  readonly #options: KafkaGraveyardOptions;
  /** By topic, the end of the last send. */
  readonly #turns = new Map<string, Promise<void>>();
  /** Topics that are there. */
  readonly #known = new Set<string>();
  #producer: Promise<Producer> | undefined;

  constructor(options: KafkaGraveyardOptions) {
    this.#options = options;
  }

  async bury(record: ForeignRecord, headers: Readonly<Record<string, string>>): Promise<void> {
    const topic = deadLettersTopic(this.#options.app, record.topic);
    const before = this.#turns.get(topic) ?? Promise.resolve();
    const sending = before.then(() => this.#send(topic, record, headers));
    const turn = quietly(sending).then(() => {
      if (this.#turns.get(topic) === turn) this.#turns.delete(topic);
    });
    this.#turns.set(topic, turn);
    await sending;
  }

  /** Resolves when nothing is sent any more and the connections are closed. May be called twice. */
  async stop(): Promise<void> {
    await Promise.all(this.#turns.values());
    await this.#leave();
  }

  async #send(
    topic: string,
    record: ForeignRecord,
    headers: Readonly<Record<string, string>>,
  ): Promise<void> {
    const { key, value } = record;
    const all: IHeaders = { ...record.headers, ...headers };
    try {
      await this.#ensure(topic);
      try {
        await this.#try(topic, key, value, all);
      } catch (error) {
        if (!isOfType(error, ...TOO_LARGE)) throw error;
        await this.#sendLess(topic, record, headers);
      }
    } catch (error) {
      // What failed once is not believed to come back: another one is made. The topic may be gone too.
      this.#known.delete(topic);
      void this.#leave();
      throw translated(`the dead letter cannot be written to ${topic}`, error);
    }
  }

  /** With our headers it is larger than it was, or its topic takes more: where it stood, it can still be read. */
  async #sendLess(
    topic: string,
    { key, value, headers: theirs }: ForeignRecord,
    headers: Readonly<Record<string, string>>,
  ): Promise<void> {
    const noted = (what: string): IHeaders => ({
      ...headers,
      ce_error: `${headers['ce_error'] ?? ''} (${what} left out, too large for the topic)`,
    });
    try {
      const note = `the value of ${value?.length ?? 0} bytes is`;
      await this.#try(topic, key, null, { ...theirs, ...noted(note) });
    } catch (error) {
      if (!isOfType(error, ...TOO_LARGE)) throw error;
      await this.#try(topic, null, null, noted('key, value and headers are'));
    }
  }

  async #try(topic: string, key: Buffer | null, value: Buffer | null, headers: IHeaders): Promise<void> {
    const producer = await this.#connected();
    const answers = await producer.send({
      topic,
      acks: -1,
      timeout: SEND_MS,
      messages: [{ key, value, headers, partition: PARTITION }],
    });
    // kafkajs can lose a send in silence when a leader moves.
    if (!answers.some(({ partition, errorCode }) => partition === PARTITION && errorCode === 0))
      throw new TidemarkError('broker_unavailable', `${topic}: the broker did not confirm a record`);
  }

  #connected(): Promise<Producer> {
    this.#producer ??= (async () => {
      const producer = this.#options.kafka.producer({
        allowAutoTopicCreation: false,
        createPartitioner: Partitioners.DefaultPartitioner,
      });
      await producer.connect();
      return producer;
    })();
    return this.#producer;
  }

  async #leave(): Promise<void> {
    const producer = this.#producer;
    this.#producer = undefined;
    if (producer) await quietly(producer.then((one) => one.disconnect()));
  }

  /** Makes the topic where it is missing; one that is there is left as it is, as we may have no right to make any. */
  async #ensure(topic: string): Promise<void> {
    if (this.#known.has(topic)) return;
    const { kafka, replication } = this.#options;
    const admin = kafka.admin();
    try {
      await admin.connect();
      if (!(await admin.listTopics()).includes(topic))
        // False where somebody else made it meanwhile, which is as good.
        await admin.createTopics({
          topics: [{ topic, numPartitions: 1, replicationFactor: replication ?? BROKERS_DEFAULT }],
        });
    } finally {
      await quietly(admin.disconnect());
    }
    this.#known.add(topic);
  }
}
