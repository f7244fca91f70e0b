/** What tests do with a Kafka by hand: topics, records in, all records out. Every call has connections of its own. */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import kafkajs, {
  type Admin,
  type Consumer,
  type ITopicConfig,
  type KafkaMessage,
  type Message,
} from 'kafkajs';

// Its errors are no names that Node's own loader finds.
const { Kafka, KafkaJSError, logLevel, Partitioners } = kafkajs;

const READ_MS = 30_000;

/** A record as it lies in Kafka, its bytes as UTF-8. */
export interface KafkaRecord {
  readonly partition: number;
  readonly offset: number;
  readonly key: string | null;
  readonly value: string | null;
  readonly headers: Readonly<Record<string, string>>;
  /** Milliseconds since 1970. */
  readonly timestamp: number;
}

export interface TopicOptions {
  /** 1 unless told otherwise. */
  readonly partitions?: number;
  /** The brokers' default unless told otherwise. */
  readonly replication?: number;
  /** Of the topic, as `{ 'retention.ms': '1000' }`. */
  readonly config?: Readonly<Record<string, string>>;
}

/** Partition → the offset that its next record gets; partitions without a record are left out. */
async function ends(admin: Admin, topic: string): Promise<Map<number, number>> {
  await untilLed(admin, topic);
  const offsets = await admin.fetchTopicOffsets(topic);
  const filled = offsets.filter(({ low, high }) => Number(low) < Number(high));
  return new Map(filled.map(({ partition, high }) => [partition, Number(high)]));
}

/** A partition may have no leader for a moment; kafkajs’s own waiting gives up when the broker that it asks has not heard of the topic yet. */
export async function untilLed(admin: Admin, topic: string): Promise<void> {
  while (!(await hasLeaders(admin, topic))) await new Promise((resolve) => setTimeout(resolve, 10));
}

/** Whether every partition has a leader that knows that it is one. */
async function hasLeaders(admin: Admin, topic: string): Promise<boolean> {
  try {
    await admin.fetchTopicOffsets(topic);
    return true;
  } catch (error) {
    if (error instanceof KafkaJSError && error.retriable) return false;
    throw error;
  }
}

const text = (bytes: Buffer | null): string | null => bytes?.toString('utf8') ?? null;

function recordOf(partition: number, message: KafkaMessage): KafkaRecord {
  const headers = Object.entries(message.headers ?? {}).flatMap(([name, value]) =>
    value === undefined ? [] : [[name, String(Array.isArray(value) ? value.at(-1) : value)]],
  );
  return {
    partition,
    offset: Number(message.offset),
    key: text(message.key),
    value: text(message.value),
    headers: Object.fromEntries(headers),
    timestamp: Number(message.timestamp),
  };
}

/** Reads each partition up to the offset before its end. */
async function readTo(
  consumer: Consumer,
  topic: string,
  wanted: Map<number, number>,
): Promise<KafkaRecord[]> {
  const records: KafkaRecord[] = [];
  const open = new Map(wanted);
  const finished = new AbortController();
  await consumer.connect();
  await consumer.subscribe({ topic, fromBeginning: true });
  const ended = once(finished.signal, 'abort');
  const late = setTimeout(() => finished.abort('late'), READ_MS);
  // It comes back by itself where `restart` says so: a coordinator that loads its groups, after a start.
  consumer.on(consumer.events.CRASH, ({ payload }) => {
    if (!payload.restart) finished.abort(payload.error);
  });
  await consumer.run({
    autoCommit: false,
    eachBatch: async ({ batch }) => {
      const end = wanted.get(batch.partition) ?? 0;
      const fresh = batch.messages.filter(({ offset }) => Number(offset) < end);
      records.push(...fresh.map((message) => recordOf(batch.partition, message)));
      if (Number(batch.lastOffset()) >= end - 1) open.delete(batch.partition);
      if (open.size === 0) finished.abort('all read');
    },
  });
  await ended;
  clearTimeout(late);
  if (open.size === 0) return records;
  const missing = [...open].map(([partition, end]) => `partition ${partition} up to ${end - 1}`).join(', ');
  throw new Error(`topic ${topic} could not be read: ${missing}`, { cause: finished.signal.reason });
}

/** @param brokers `host:port` of some of the cluster's, without encryption */
export function kafkaTools(brokers: readonly string[]) {
  /** A client that keeps its warnings to itself and soon tries again. */
  const client = () =>
    new Kafka({
      clientId: 'tests',
      brokers: [...brokers],
      logLevel: logLevel.NOTHING,
      retry: { initialRetryTime: 50, maxRetryTime: 1_000, retries: 12 },
    });

  /** Runs something with a connected admin client. */
  async function withAdmin<T>(work: (admin: Admin) => Promise<T>): Promise<T> {
    const admin = client().admin();
    await admin.connect();
    try {
      return await work(admin);
    } finally {
      await admin.disconnect();
    }
  }

  /** Resolves when all its partitions have leaders. */
  async function createTopic(topic: string, options: TopicOptions = {}): Promise<void> {
    const { partitions = 1, replication = -1, config = {} } = options;
    const configEntries = Object.entries(config).map(([name, value]) => ({ name, value }));
    const wanted: ITopicConfig = {
      topic,
      numPartitions: partitions,
      replicationFactor: replication,
      configEntries,
    };
    await withAdmin(async (admin) => {
      await admin.createTopics({ topics: [wanted], waitForLeaders: false });
      await untilLed(admin, topic);
    });
  }

  /** Resolves when no broker that is asked knows it any more. */
  async function deleteTopic(topic: string): Promise<void> {
    await withAdmin(async (admin) => {
      await admin.deleteTopics({ topics: [topic] });
      // The controller has answered; nothing tells when the brokers' own metadata has followed.
      while ((await admin.listTopics()).includes(topic))
        await new Promise((resolve) => setImmediate(resolve));
    });
  }

  /** Resolves when all in-sync replicas have them. Without a partition, the key decides as Kafka's own client does. */
  async function send(topic: string, messages: readonly Message[]): Promise<void> {
    const producer = client().producer({
      allowAutoTopicCreation: false,
      createPartitioner: Partitioners.DefaultPartitioner,
    });
    await producer.connect();
    try {
      await producer.send({ topic, acks: -1, messages: [...messages] });
    } finally {
      await producer.disconnect();
    }
  }

  /** All records that are there at the time of the call, by partition and offset. */
  async function readAll(topic: string): Promise<readonly KafkaRecord[]> {
    return withAdmin(async (admin) => {
      const wanted = await ends(admin, topic);
      if (wanted.size === 0) return [];
      const groupId = `tests-${randomBytes(6).toString('hex')}`;
      const consumer = client().consumer({ groupId, maxWaitTimeInMs: 100, allowAutoTopicCreation: false });
      try {
        const records = await readTo(consumer, topic, wanted);
        return records.toSorted((a, b) => a.partition - b.partition || a.offset - b.offset);
      } finally {
        await consumer.disconnect();
        await admin.deleteGroups([groupId]).catch(() => undefined);
      }
    });
  }

  return { client, withAdmin, createTopic, deleteTopic, send, readAll };
}
