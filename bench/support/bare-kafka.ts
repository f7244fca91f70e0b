/** kafkajs without anything around it: the floor of what goes through Kafka. */
import { randomBytes } from 'node:crypto';
import { Kafka, logLevel } from 'kafkajs';
import { untilLed } from '../../test/support/kafka/tools.js';

process.env['KAFKAJS_NO_PARTITIONER_WARNING'] = '1';

export const bareKafka = (brokers: readonly string[]): Kafka =>
  new Kafka({ brokers: [...brokers], clientId: 'bare', logLevel: logLevel.NOTHING });

/** A topic that did not exist before. */
export async function newTopic(kafka: Kafka, numPartitions: number): Promise<string> {
  const topic = `bench.${randomBytes(6).toString('hex')}`;
  const admin = kafka.admin();
  await admin.connect();
  await admin.createTopics({ topics: [{ topic, numPartitions }], waitForLeaders: false });
  await untilLed(admin, topic);
  await admin.disconnect();
  return topic;
}

/** One record from a producer to a consumer of the same process. */
export async function bareHop(
  brokers: readonly string[],
): Promise<{ hop(): Promise<void>; close(): Promise<void> }> {
  const kafka = bareKafka(brokers);
  const topic = await newTopic(kafka, 1);
  const producer = kafka.producer();
  const consumer = kafka.consumer({ groupId: topic, maxWaitTimeInMs: 1_000, minBytes: 1 });
  let arrived: () => void = () => undefined;
  await Promise.all([producer.connect(), consumer.connect()]);
  await consumer.subscribe({ topics: [topic], fromBeginning: true });
  await consumer.run({ autoCommit: false, eachBatch: async () => arrived() });
  const hop = async (): Promise<void> => {
    const there = new Promise<void>((resolve) => (arrived = resolve));
    await producer.send({ topic, acks: -1, messages: [{ value: '{}', partition: 0 }] });
    await there;
  };
  return {
    hop,
    async close() {
      await Promise.all([producer.disconnect(), consumer.disconnect()]);
    },
  };
}
