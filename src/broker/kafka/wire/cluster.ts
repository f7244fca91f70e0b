/**
 * The brokers as we know them: who leads which partition, and connections to them. kafkajs’s own view fails as a whole as long
 * as one partition of one topic has no leader; here that is the matter of this partition alone.
 */
import { Kafka, logLevel, type Logger as KafkaLogger } from 'kafkajs';
import type { MetadataAnswer } from 'kafkajs/src/protocol/requests/index.js';
import { isTidemarkError, TidemarkError } from '../../../platform/errors.js';
import type { Logger } from '../../../platform/logger.js';
import { endedWithin } from '../../../platform/pause.js';
import { connectionOptions, kafkaLog } from '../client.js';
import { mendHeaders } from '../headers.js';
import { mendRequestQueue } from '../queue.js';
import type { KafkaSettings } from '../settings.js';
import { CODE, refusal, translated, unavailable } from './errors.js';
import { API, Link } from './link.js';

/** For answers that a broker has at hand. */
const REQUEST_MS = 5_000;
/** For answers that wait for other brokers; the broker is told to answer before. */
const SEND_MS = 15_000;

interface Node {
  readonly host: string;
  readonly port: number;
}

interface TopicView {
  readonly error: number;
  /** Node id and error, by partition. */
  readonly partitions: ReadonlyMap<number, { readonly leader: number; readonly error: number }>;
}

/** Look-ups that wait for the next question. */
interface Round {
  readonly topics: Set<string>;
  readonly done: Promise<void>;
}

/** What a connection is for. Sends have several, so that one that is held up holds up few others. */
export type Lane = 'control' | 'read' | `send-${number}`;

const shuffled = <T>(items: readonly T[]): T[] =>
  items
    .map((item) => ({ item, by: Math.random() }))
    .sort((one, other) => one.by - other.by)
    .map(({ item }) => item);

/**
 * What a promise gives, unless that takes longer.
 * @param late called when it does
 * @throws TidemarkError `broker_unavailable` when it does; else as the promise
 */
export async function within<T>(
  ms: number,
  what: string,
  promise: Promise<T>,
  late?: () => void,
): Promise<T> {
  if (await endedWithin(promise, ms)) return promise;
  late?.();
  throw unavailable(`${what}: no answer in ${ms} ms`);
}

export class Cluster {
  readonly #settings: KafkaSettings;
  readonly #logger: KafkaLogger;
  readonly #links = new Map<string, Link>();
  readonly #topics = new Map<string, TopicView>();
  readonly #seeds: readonly Node[];
  #nodes: ReadonlyMap<number, Node> = new Map();
  #controller = -1;
  #good: string | undefined;
  #round: Round | undefined;
  #last: Promise<void> = Promise.resolve();
  #closed = false;

  constructor(settings: KafkaSettings, logger: Logger) {
    mendRequestQueue();
    mendHeaders();
    this.#settings = settings;
    // kafkajs makes its loggers inside of a client only.
    const kafka = new Kafka({
      ...connectionOptions(settings),
      logLevel: logLevel.WARN,
      logCreator: () => kafkaLog(logger),
    });
    this.#logger = kafka.logger();
    this.#seeds = settings.brokers.map((broker) => {
      const colon = broker.lastIndexOf(':');
      return { host: broker.slice(0, colon), port: Number(broker.slice(colon + 1)) };
    });
  }

  /** Brokers of the last look. */
  get size(): number {
    return this.#nodes.size;
  }

  /** Looked up before: error and partitions of a topic; undefined where nobody looked. */
  view(topic: string): TopicView | undefined {
    return this.#topics.get(topic);
  }

  /** What is known of a topic is old: it is looked up before it is used again. */
  forget(topic: string): void {
    this.#topics.delete(topic);
  }

  /**
   * Looks topics up, together with what others want to know at the same time.
   * @throws TidemarkError `broker_unavailable` when no broker answers; `broker_refused` when none lets us in
   */
  look(topics: readonly string[]): Promise<void> {
    if (!this.#round) {
      const wanted = new Set<string>();
      const done = this.#last.then(() => {
        this.#round = undefined;
        return this.#look([...wanted]);
      });
      this.#last = done.catch(() => undefined);
      this.#round = { topics: wanted, done };
    }
    for (const topic of topics) this.#round.topics.add(topic);
    return this.#round.done;
  }

  /**
   * A connection to the leader of a partition, ready to be asked.
   * @throws TidemarkError `broker_unavailable` when there is none, or it cannot be reached; `broker_refused`
   */
  async leader(lane: Lane, topic: string, partition: number): Promise<Link> {
    const where = `partition ${partition} of ${topic}`;
    const known = this.#topics.get(topic)?.partitions.get(partition);
    if (!known || known.error !== CODE.none) await this.look([topic]);
    const view = this.#topics.get(topic);
    if (view && view.error !== CODE.none) throw refusal(where, view.error);
    const found = view?.partitions.get(partition);
    if (!found) throw unavailable(`${where}: there is no such partition`);
    const node = this.#nodes.get(found.leader);
    if (!node) {
      this.forget(topic);
      throw refusal(where, CODE.leaderNotAvailable);
    }
    try {
      return await this.#connected(lane, node);
    } catch (error) {
      // It may lead no more.
      this.forget(topic);
      throw isTidemarkError(error)
        ? new TidemarkError(error.code, `${where}: ${error.message}`, { cause: error })
        : error;
    }
  }

  /** A connection to the controller. @throws as `leader` */
  async controller(): Promise<Link> {
    const node = this.#nodes.get(this.#controller);
    if (!node) throw unavailable('Kafka has no controller now');
    return this.#connected('control', node);
  }

  /** Ends all connections. */
  close(): void {
    this.#closed = true;
    for (const link of this.#links.values()) link.close('the client was stopped');
    this.#links.clear();
  }

  async #connected(lane: Lane, node: Node): Promise<Link> {
    const link = this.#link(lane, node);
    try {
      await link.connect();
      return link;
    } catch (error) {
      throw translated(`Kafka’s broker ${link.address}`, error);
    }
  }

  #link(lane: Lane, { host, port }: Node): Link {
    if (this.#closed) throw unavailable('the client was stopped');
    const id = `${lane} ${host}:${port}`;
    const known = this.#links.get(id);
    if (known && !known.lost) return known;
    known?.retire();
    const requestMs = lane.startsWith('send') ? SEND_MS : REQUEST_MS;
    const link = new Link({ settings: this.#settings, host, port, requestMs, logger: this.#logger });
    this.#links.set(id, link);
    return link;
  }

  /** Brokers to ask, the one that answered last time first. */
  #candidates(): Node[] {
    const places = new Map<string, Node>();
    for (const node of [...shuffled([...this.#nodes.values()]), ...shuffled(this.#seeds)])
      places.set(`${node.host}:${node.port}`, node);
    const good = this.#good === undefined ? undefined : places.get(this.#good);
    return good ? [good, ...[...places.values()].filter((node) => node !== good)] : [...places.values()];
  }

  async #look(topics: readonly string[]): Promise<void> {
    let failure: unknown;
    for (const node of this.#candidates()) {
      try {
        const link = await this.#connected('control', node);
        this.#learn(topics, await link.ask(API.metadata, { topics, allowAutoTopicCreation: false }));
        this.#good = link.address;
        return;
      } catch (error) {
        failure = error;
        if (isTidemarkError(error, 'broker_refused')) throw error;
      }
    }
    throw unavailable(`none of Kafka’s brokers answers (${this.#settings.brokers.join(', ')})`, failure);
  }

  #learn(asked: readonly string[], answer: MetadataAnswer): void {
    this.#nodes = new Map(answer.brokers.map(({ nodeId, host, port }) => [nodeId, { host, port }]));
    this.#controller = answer.controllerId;
    for (const topic of asked) this.#topics.delete(topic);
    for (const { topic, topicErrorCode: error, partitionMetadata } of answer.topicMetadata) {
      if (!asked.includes(topic)) continue;
      const partitions = new Map(
        partitionMetadata.map(({ partitionId, leader, partitionErrorCode }) => [
          partitionId,
          { leader, error: partitionErrorCode },
        ]),
      );
      this.#topics.set(topic, { error, partitions });
    }
    const places = new Set(
      [...this.#nodes.values(), ...this.#seeds].map(({ host, port }) => `${host}:${port}`),
    );
    for (const [id, link] of this.#links) {
      if (places.has(link.address)) continue;
      this.#links.delete(id);
      link.retire();
    }
  }
}
