/** The publisher on Kafka. */
import { KafkaPublisher } from '../../src/broker/kafka/publisher.js';
import { topicOf } from '../../src/broker/kafka/records.js';
import { silentLogger as logger } from '../../src/platform/logger.js';
import { describeKafka, kafka, kafkaBrokers, uniqueName } from '../support/kafka.js';
import { publisherContract, type PublisherWorld } from './publisher.js';

function world(): Promise<PublisherWorld> {
  const app = uniqueName('publish');
  const settings = {
    brokers: kafkaBrokers,
    tls: false,
    sasl: undefined,
    replication: undefined,
    clientId: 'tests',
  };
  const made: KafkaPublisher[] = [];
  return Promise.resolve({
    publisher: () => {
      const publisher = new KafkaPublisher({ settings, app, logger });
      made.push(publisher);
      return publisher;
    },
    nameOf: (log) => topicOf(app, log),
    records: (log) => kafka.readAll(topicOf(app, log)),
    createTopic: (log, partitions, config = {}) =>
      kafka.createTopic(topicOf(app, log), { partitions, config }),
    deleteTopic: (log) => kafka.deleteTopic(topicOf(app, log)),
    removeBefore: (log, partition, offset) =>
      kafka.withAdmin(async (admin) => {
        const topic = topicOf(app, log);
        // So that it knows the partition's leader.
        await admin.fetchTopicOffsets(topic);
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

describeKafka('with a broker', () => publisherContract('Kafka publisher', world));
