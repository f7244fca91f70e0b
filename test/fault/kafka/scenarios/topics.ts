/** Faults of topics and groups: made again, emptied by retention; consumers that come and go. */
import { SHARDS } from '../app.js';
import { topicsOf } from '../topics.js';
import { pace } from '../../stage/waiting.js';
import type { Scenario, World } from '../world.js';

const PROJECTORS = 3;

export const topicRemade: Scenario = {
  name: 'topic-remade',
  title: 'topics are deleted under load, and made again by somebody or by the relay',
  expect: { begin: 'any' },
  async play({ app, tools, load, below, times, happened }) {
    const topics = topicsOf(app).map(({ topic }) => topic);
    for (let round = times(4); round > 0; round--) {
      await load.more(40 + below(60));
      // Events every other time, else the changes of one of the projections.
      const topic = topics[round % 2 === 0 ? 0 : 1 + below(topics.length - 1)] ?? '';
      await tools.deleteTopic(topic);
      const somebody = below(2) === 0;
      happened(`${topic.slice(app.name.length + 1)} deleted${somebody ? ' and made again' : ''}`);
      // The relay may have been faster.
      if (somebody) await tools.createTopic(topic, { partitions: SHARDS }).catch(() => undefined);
      await load.more(60 + below(60));
    }
    await load.more(100);
  },
};

/** Removes the records before a random offset, of every partition. */
async function removeRecords({ tools, below }: World, topic: string): Promise<void> {
  await tools.withAdmin(async (admin) => {
    const offsets = await admin.fetchTopicOffsets(topic);
    const partitions = offsets.map(({ partition, low, high }) => {
      const from = Number(low);
      return { partition, offset: String(from + below(Number(high) - from + 1)) };
    });
    await admin.deleteTopicRecords({ topic, partitions });
  });
}

export const retention: Scenario = {
  name: 'retention',
  title: 'records are removed before projectors and gateways have read them',
  expect: { begin: 'any' },
  async play(world) {
    const { app, cast, load, below, times, happened } = world;
    for (let round = times(3); round > 0; round--) {
      await load.more(40 + below(60));
      const projectors = cast.of('projector');
      const gateway = cast.the('gateway');
      for (const actor of [...projectors, gateway]) await cast.end(actor);
      await load.more(60 + below(100));
      for (const { topic } of topicsOf(app)) await removeRecords(world, topic);
      happened('records removed unread');
      await Promise.all([...projectors, gateway].map(({ roles }) => cast.start(roles)));
      await load.more(40);
    }
    // Also while everybody reads.
    for (const { topic } of topicsOf(app)) await removeRecords(world, topic);
    await load.more(100);
  },
};

/** What may happen to a consumer in a second of the storm. */
async function gust({ cast, below, happened }: World, starts: Promise<unknown>[]): Promise<void> {
  const all = cast.of('projector');
  const one = all[below(all.length)];
  const what = below(5);
  if (!one || all.length < PROJECTORS) {
    happened('comes');
    starts.push(cast.start('projector'));
  } else if (what === 0) {
    happened('killed');
    await cast.end(one, 'SIGKILL');
  } else if (what === 1) {
    happened('goes');
    if (!one.frozen) await cast.end(one, 'SIGTERM');
  } else if (what === 2) {
    happened('frozen');
    one.freeze();
  } else if (what === 3) {
    happened('thawed');
    for (const actor of all) if (actor.frozen) actor.thaw();
  } else {
    const gateway = cast.the('gateway');
    happened('gateway killed');
    await cast.end(gateway);
    starts.push(cast.start('gateway'));
  }
}

export const rebalanceStorm: Scenario = {
  name: 'rebalance-storm',
  title: 'projectors and gateways come, go, die and freeze every second',
  async play(world) {
    const { cast, load, times } = world;
    const starts: Promise<unknown>[] = [];
    for (let second = times(25); second > 0; second--) {
      await Promise.all([pace(1_000), gust(world, starts)]);
    }
    await Promise.all(starts);
    for (const actor of cast.of()) if (actor.frozen) actor.thaw();
    if (cast.of('projector').length === 0) await cast.start('projector');
    await load.more(100);
  },
};
