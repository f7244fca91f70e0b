/** The publisher on Kafka. */
import { expect, onTestFinished, test } from 'vitest';
import { KafkaPublisher } from '../../src/broker/kafka/publisher.js';
import { topicOf } from '../../src/broker/kafka/records.js';
import { silentLogger as logger } from '../../src/platform/logger.js';
import { describeKafka, kafka, kafkaBrokers, uniqueName } from '../support/kafka.js';
import { untilLed } from '../support/kafka/tools.js';
import { publisherContract, type PublisherWorld } from './publisher.js';

const SETTINGS = {
  brokers: kafkaBrokers,
  tls: false,
  sasl: undefined,
  replication: undefined,
  clientId: 'tests',
};

function world(): Promise<PublisherWorld> {
  const app = uniqueName('publish');
  const made: KafkaPublisher[] = [];
  return Promise.resolve({
    publisher: () => {
      const publisher = new KafkaPublisher({ settings: SETTINGS, app, logger });
      made.push(publisher);
      return publisher;
    },
    nameOf: (log) => topicOf(app, log),
    records: (log) => kafka.readAll(topicOf(app, log)),
    createTopic: (log, partitions, config = {}) =>
      kafka.createTopic(topicOf(app, log), { partitions, config }),
    deleteTopic: (log) => kafka.deleteTopic(topicOf(app, log)),
    led: (logs) =>
      kafka.withAdmin(async (admin) => {
        for (const log of logs) await untilLed(admin, topicOf(app, log));
      }),
    removeBefore: (log, partition, offset) =>
      kafka.withAdmin(async (admin) => {
        const topic = topicOf(app, log);
        await untilLed(admin, topic);
        await admin.deleteTopicRecords({ topic, partitions: [{ partition, offset: String(offset) }] });
      }),
    writeForeign: (log, partition) =>
      kafka.send(topicOf(app, log), [{ partition, key: 'x', value: 'y', headers: { ce_id: '1' } }]),
    writeRolledBack: async (log, partition) => {
      const producer = kafka.client().producer({
        transactionalId: uniqueName('transaction'),
        maxInFlightRequests: 1,
        idempotent: true,
        allowAutoTopicCreation: false,
      });
      await producer.connect();
      const transaction = await producer.transaction();
      const headers = { ce_id: 'x', ce_seq: '9', ce_epoch: '1', ce_time: '2026-01-02T03:04:05.678Z' };
      await transaction.send({ topic: topicOf(app, log), messages: [{ partition, value: '{}', headers }] });
      await transaction.abort();
      await producer.disconnect();
    },
    end: async () => {
      await Promise.all(made.map((publisher) => publisher.stop()));
    },
  });
}

describeKafka('with a broker', () => {
  publisherContract('Kafka publisher', world);

  test('topics of logs that are gone are deleted; what is not there is no matter', async () => {
    const settings = { ...SETTINGS, replication: 1 };
    const publisher = new KafkaPublisher({ settings, app: uniqueName('publish'), logger });
    onTestFinished(() => publisher.stop());
    const old = { kind: 'changes', log: 'totals.v1', projection: 'totals', version: 1 } as const;
    const next = { ...old, log: 'totals.v2', version: 2 } as const;
    await publisher.ensure([old, next], 2);
    await publisher.remove([]);
    await publisher.remove([old]);
    await publisher.remove([old]);
    await expect
      .poll(() => publisher.topic(old), { timeout: 60_000 })
      .toMatchObject({ partitions: undefined });
    expect(await publisher.topic(next)).toMatchObject({ partitions: 2 });
    // Nobody makes it again by looking at it.
    await expect(publisher.tail(old, 0)).rejects.toMatchObject({ code: 'broker_unavailable' });
  });

  test('batches are as Kafka has them, whatever the sizes of their parts', async () => {
    const app = uniqueName('publish');
    const publisher = new KafkaPublisher({ settings: SETTINGS, app, logger });
    onTestFinished(() => publisher.stop());
    await publisher.ensure([{ kind: 'events', log: 'order' }], 1);
    // Lengths on both sides of where their own length changes.
    const sizes = [0, 1, 31, 32, 63, 64, 65, 127, 128, 8_190, 8_191, 8_192, 8_193, 600_000];
    const texts = sizes.flatMap((size) => ['a'.repeat(size), 'ü'.repeat(size / 2), '€'.repeat(size / 3)]);
    const records = texts.flatMap((text) => [
      { key: text, value: null, headers: { some: 'x', other: text.slice(0, 9_000) } },
      { key: null, value: text, headers: {} },
      {
        key: 'k',
        value: 'v',
        headers: Object.fromEntries([...'abcdefghij'].map((name) => [name, text.slice(0, 70)])),
      },
    ]);
    await publisher.send(`${app}.order`, 0, records);
    const found = await kafka.readAll(`${app}.order`);
    expect(found.map(({ key, value, headers }) => ({ key, value, headers }))).toEqual(records);
    expect(found.map(({ offset }) => offset)).toEqual(records.map((_, index) => index));
    const age = Date.now() - (found[0]?.timestamp ?? 0);
    expect(age).toBeGreaterThanOrEqual(0);
    expect(age).toBeLessThan(60_000);
  });

  test('a topic that the brokers do not allow is told with their reason', async () => {
    const settings = { ...SETTINGS, replication: 50 };
    const publisher = new KafkaPublisher({ settings, app: uniqueName('publish'), logger });
    onTestFinished(() => publisher.stop());
    await expect(publisher.ensure([{ kind: 'events', log: 'order' }], 2)).rejects.toMatchObject({
      code: 'broker_refused',
      message: expect.stringMatching(
        /making the topic \w+\.order \(2 partitions, replication 50\): .*replicat/i,
      ),
    });
  });
});
