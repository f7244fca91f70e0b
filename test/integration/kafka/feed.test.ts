/** What only the Kafka feed meets: records that repeat, are missing, are of another time, or stop coming. */
import type { Producer } from 'kafkajs';
import { afterAll, beforeAll, expect, it, onTestFinished } from 'vitest';
import { Counts, Following, upTo } from '../../support/following.js';
import { describeKafka, kafka } from '../../support/kafka.js';
import { kafkaThings, testProducer, type KafkaThings } from '../../support/kafka/things.js';
import { LOG } from '../../support/things.js';

let producer: Producer;
beforeAll(async () => {
  producer = testProducer();
  await producer.connect();
});
afterAll(() => producer.disconnect());

/** A log, one process that follows it, and no look at the heads but those that a test asks for. */
async function follow(options: { readonly topic?: boolean; readonly rows?: number } = {}) {
  const world = await kafkaThings(producer, options);
  const counts = new Counts();
  const following = new Following();
  let reads = 0;
  if (options.rows) await world.append(0, options.rows);
  const process = await world.process(
    (parts) => {
      const feed = world.feed(parts, { observer: counts });
      return feed;
    },
    { probeMs: 60_000 },
  );
  await following.join(process.feed);
  onTestFinished(async () => {
    await following.leave();
    await process.stop();
    await world.end();
  });
  reads++;
  return { world, counts, following, process, reads };
}

/** Resolves when what comes from Kafka is read: records of another epoch are dropped, and counted. */
async function listening(world: KafkaThings, counts: Counts, shard = 0): Promise<void> {
  const before = counts.foreign;
  await expect
    .poll(
      async () => {
        await world.send(shard, 1, 1, { epoch: 'another' }).catch(() => undefined);
        return counts.foreign;
      },
      { timeout: 15_000, interval: 20 },
    )
    .toBeGreaterThan(before);
}

describeKafka('the Kafka feed', () => {
  it('gives what Kafka gives; drops repeats and other epochs, and reads from Postgres what is missing', async () => {
    const { world, counts, following, process } = await follow();
    await listening(world, counts);
    const more = async (count: number): Promise<[first: number, last: number]> => {
      const head = await world.append(0, count);
      return [head + 1, head + count];
    };
    const [first, last] = await more(5);
    await world.send(0, first, last);
    await following.has(0, 5);
    expect(counts).toMatchObject({ repeats: 0, gaps: 0, tails: 0 });

    await world.send(0, 1, 5);
    await more(1);
    await world.send(0, 6, 6);
    await following.has(0, 6);
    expect(counts).toMatchObject({ repeats: 5, gaps: 0 });

    // 7 and 8 are never sent.
    await more(3);
    await world.send(0, 9, 9);
    await following.has(0, 9);
    expect(counts).toMatchObject({ repeats: 5, gaps: 1, tails: 0 });

    // 10 and 11 are never sent, and nothing follows them.
    await more(2);
    await process.probe.probe();
    expect(following.seqs.get(0)).toEqual(upTo(9));
    await process.probe.probe();
    await following.has(0, 11);
    expect(counts).toMatchObject({ gaps: 1, tails: 1 });

    // Until Kafka has kept up again, a hint is enough.
    await more(1);
    process.wakeups.hint(LOG, 0, 12);
    await following.has(0, 12);
    await more(1);
    await world.send(0, 13, 13);
    await following.has(0, 13);
    await more(1);
    process.wakeups.hint(LOG, 0, 14);
    await more(1);
    await world.send(0, 14, 15);
    await following.has(0, 15);
    expect(counts).toMatchObject({ gaps: 1, tails: 1, replaced: 0 });
  });

  it('hands over nothing that Postgres does not have', async () => {
    const { world, counts, following } = await follow();
    await world.append(0, 2);
    await listening(world, counts);
    await following.has(0, 2).catch(() => undefined);
    await world.send(0, 1, 4, { key: 'ghost' });
    await world.append(0, 1);
    await world.send(0, 3, 3);
    await following.has(0, 3);
    await world.append(0, 2);
    await world.send(0, 5, 5);
    await following.has(0, 5);
    expect(following.keys.get(0)?.slice(2)).toEqual(['k', 'k', 'k']);
  });
});
void kafka;
