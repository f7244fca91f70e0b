/** Members of a group that come and go while records come, by Kafka and by Postgres: each entry counts once, and none waits. */
import type { Producer } from 'kafkajs';
import { afterAll, beforeAll, expect, it, onTestFinished } from 'vitest';
import { PostgresFeed } from '../../../src/broker/postgres/feed.js';
import { silentLogger as logger } from '../../../src/platform/logger.js';
import { readChanges } from '../../../src/projections/change-log.js';
import type { ChangeEntry } from '../../../src/projections/types.js';
import { upTo } from '../../support/following.js';
import { describeKafka } from '../../support/kafka.js';
import { kafkaThings, testProducer, type KafkaThings } from '../../support/kafka/things.js';
import { LOG } from '../../support/things.js';
import { randomFrom } from '../../support/random.js';

let producer: Producer;
beforeAll(async () => {
  producer = testProducer();
  await producer.connect();
});
afterAll(() => producer.disconnect());

/** Checkpoints as projections keep them: whoever comes second finds them moved, and what it brings does not count. */
class Checkpoints {
  readonly counted = new Map<number, number[]>();
  conflicts = 0;

  at(shard: number): number {
    return this.counted.get(shard)?.at(-1) ?? 0;
  }

  async move(shard: number, from: number, entries: readonly ChangeEntry[]): Promise<void> {
    await new Promise(setImmediate);
    if (this.at(shard) !== from) {
      this.conflicts++;
      throw new Error('a checkpoint was moved by another');
    }
    this.counted.set(shard, [...(this.counted.get(shard) ?? []), ...entries.map(({ seq }) => seq)]);
  }
}

async function member(world: KafkaThings, checkpoints: Checkpoints, kind: 'kafka' | 'postgres') {
  const process = await world.process((parts) =>
    kind === 'kafka'
      ? world.feed(parts)
      : new PostgresFeed<ChangeEntry>({
          read: readChanges.bind(undefined, parts.db),
          logger,
          notNowMs: 20,
          ...parts,
        }),
  );
  const membership = await process.feed.join({
    log: LOG,
    shards: 3,
    group: 'sharing',
    mode: 'shared',
    maxBatch: 7,
    open: (shard) => {
      let position = checkpoints.at(shard);
      return Promise.resolve({
        after: position,
        handle: async (entries) => {
          await checkpoints.move(shard, position, entries);
          position = entries.at(-1)?.seq ?? position;
        },
        trimmed: () => undefined,
      });
    },
  });
  let leaving: Promise<void> | undefined;
  const leave = async (): Promise<void> => {
    await membership.stop();
    await process.stop();
  };
  return { kind, leave: () => (leaving ??= leave()) };
}

describeKafka('members of a group', () => {
  it('come and go, some by Kafka and some by Postgres, and every entry counts once', async () => {
    const seed = Date.now() % 1_000_000;
    console.log(`members of a group: seed ${seed}`);
    const random = randomFrom(seed);
    const world = await kafkaThings(producer);
    const checkpoints = new Checkpoints();
    const members: Awaited<ReturnType<typeof member>>[] = [];
    const heads = [0, 0, 0];
    onTestFinished(async () => {
      await Promise.all(members.map(({ leave }) => leave()));
      await world.end();
    });
    const grow = async (): Promise<void> => {
      const shard = random(3);
      const count = 1 + random(20);
      const head = await world.append(shard, count);
      heads[shard] = head + count;
      // Some records are lost, and some come twice.
      if (random(10) > 0) await world.send(shard, head + 1, head + count);
      if (random(10) === 0) await world.send(shard, head + 1, head + count);
    };
    const settled = (): Promise<void> =>
      expect
        .poll(() => heads.map((_, shard) => checkpoints.at(shard)), { timeout: 60_000, interval: 10 })
        .toEqual(heads)
        .then();
    for (const kind of ['postgres', 'kafka', 'kafka', 'postgres', 'kafka', 'kafka'] as const) {
      members.push(await member(world, checkpoints, kind));
      for (let round = 0; round < 10; round++) await grow();
      await settled();
      if (members.length >= 3) await members[members.length - 3]?.leave();
      await grow();
    }
    await settled();
    for (const shard of [0, 1, 2])
      expect(checkpoints.counted.get(shard) ?? []).toEqual(upTo(heads[shard] ?? 0));
  });
});
