/** The Kafka feed, over a change log and its topic on a real broker. */
import type { Producer } from 'kafkajs';
import { afterAll, beforeAll } from 'vitest';
import { describeKafka } from '../support/kafka.js';
import { kafkaThings, testProducer } from '../support/kafka/things.js';
import { LOG } from '../support/things.js';
import { feedContract } from './feed.js';

describeKafka('with a broker', () => {
  let producer: Producer;
  beforeAll(async () => {
    producer = testProducer();
    await producer.connect();
  });
  afterAll(() => producer.disconnect());

  feedContract('Kafka feed', async () => {
    const world = await kafkaThings(producer);
    return {
      log: LOG,
      async append(shard, count, { hint = true } = {}) {
        const head = await world.append(shard, count);
        if (hint) await world.send(shard, head + 1, head + count);
      },
      trim: (shard, low) => world.trim(shard, low),
      process: () => world.process((parts) => world.feed(parts)),
      end: () => world.end(),
    };
  });
});
