/** The tools that other tests look into Kafka with: what went in comes out, whole and in order. */
import { expect, it } from 'vitest';
import { describeKafka, kafka, uniqueName } from '../../support/kafka.js';

describeKafka('tools for Kafka', () => {
  it('read back all records of a topic with keys, headers and empty values', async () => {
    const topic = uniqueName('tools');
    await kafka.createTopic(topic, { partitions: 3 });
    expect(await kafka.readAll(topic)).toEqual([]);
    const many = Array.from({ length: 500 }, (_, at) => ({ partition: 1, key: 'k', value: `${at}` }));
    await kafka.send(topic, [
      ...many,
      { partition: 2, key: 'zoë', value: null, headers: { ce_id: 'e-1', note: Buffer.from('ü') } },
    ]);
    const records = await kafka.readAll(topic);
    const first = records.filter(({ partition }) => partition === 1);
    expect(first.map(({ offset, value }) => [offset, value])).toEqual(
      many.map(({ value }, at) => [at, value]),
    );
    expect(records.filter(({ partition }) => partition !== 1)).toEqual([
      {
        partition: 2,
        offset: 0,
        key: 'zoë',
        value: null,
        headers: { ce_id: 'e-1', note: 'ü' },
        timestamp: expect.any(Number),
      },
    ]);
    await kafka.deleteTopic(topic);
    await kafka.createTopic(topic);
    expect(await kafka.readAll(topic)).toEqual([]);
    await kafka.deleteTopic(topic);
  });
});
