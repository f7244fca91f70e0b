/** The change log of `things.ts` with its topic: rows in Postgres, records in Kafka, each as a test wants them. */
import { Partitioners, type Kafka, type Producer } from 'kafkajs';
import { createKafka } from '../../../src/broker/kafka/client.js';
import { changeLogs, KafkaFeed, type KafkaFeedOptions } from '../../../src/broker/kafka/feed.js';
import { encodeEntry } from '../../../src/broker/kafka/records.js';
import type { Feed } from '../../../src/broker/ports.js';
import { silentLogger as logger } from '../../../src/platform/logger.js';
import { hasChanges, readChanges } from '../../../src/projections/change-log.js';
import type { ChangeEntry } from '../../../src/projections/types.js';
import { kafka, kafkaBrokers, uniqueName } from '../kafka.js';
import { LOG, RECORDED_AT, things, type Things, type ThingsProcess } from '../things.js';

export interface KafkaThings extends Things {
  readonly app: string;
  readonly topic: string;
  /** Sends the records of seqs from `first` to `last`, whatever Postgres has. */
  send(
    shard: number,
    first: number,
    last: number,
    as?: { readonly epoch?: string; readonly key?: string },
  ): Promise<void>;
  createTopic(): Promise<void>;
  /** A feed of a process; `all` that is given replaces what it is made with. */
  feed(parts: ThingsProcess, all?: Partial<KafkaFeedOptions<ChangeEntry>>): Feed<ChangeEntry>;
}

const testKafka = (): Kafka =>
  createKafka(
    { brokers: kafkaBrokers, tls: false, sasl: undefined, replication: undefined, clientId: 'feed-tests' },
    logger,
  );

/** @param producer that is connected; it is the caller's */
export async function kafkaThings(
  producer: Producer,
  { topic: made = true }: { readonly topic?: boolean } = {},
): Promise<KafkaThings> {
  const own = await things();
  const app = uniqueName('feed');
  const { topic } = changeLogs(app)(LOG);
  const epoch = await own.epoch();
  const createTopic = (): Promise<void> => kafka.createTopic(topic, { partitions: 3 });
  if (made) await createTopic();
  return {
    ...own,
    app,
    topic,
    createTopic,
    async send(shard, first, last, as = {}) {
      const messages = Array.from({ length: last - first + 1 }, (_, index) => ({
        ...encodeEntry(app, {
          kind: 'change',
          log: LOG,
          shard,
          seq: first + index,
          epoch: as.epoch ?? epoch,
          projection: 'things',
          key: as.key ?? 'k',
          before: null,
          row: null,
          recordedAt: RECORDED_AT,
        }),
        partition: shard,
      }));
      await producer.send({
        topic,
        acks: -1,
        messages: messages.map(({ headers, ...rest }) => ({ ...rest, headers: { ...headers } })),
      });
    },
    feed: ({ db, wakeups, leases, probe }, all = {}) =>
      new KafkaFeed<ChangeEntry>({
        kafka: testKafka(),
        app,
        logOf: changeLogs(app),
        read: readChanges.bind(undefined, db),
        has: hasChanges.bind(undefined, db),
        wakeups,
        leases,
        probe,
        logger,
        notNowMs: 20,
        ...all,
      }),
    // The topic stays: a producer that knows it would fail for all the others.
    end: () => own.end(),
  };
}

export const testProducer = (): Producer =>
  kafka.client().producer({
    allowAutoTopicCreation: false,
    createPartitioner: Partitioners.DefaultPartitioner,
  });
