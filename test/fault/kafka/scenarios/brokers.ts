/** Faults of the brokers: killed, away for a while, the leader killed again and again, put back to an earlier copy. */
import { cp, rm } from 'node:fs/promises';
import path from 'node:path';
import { isCaughtUp, openDatabase } from '../../stage/findings.js';
import { topicsOf } from '../topics.js';
import { eventually } from '../../stage/waiting.js';
import type { Scenario, World } from '../world.js';

export const brokerKilled: Scenario = {
  name: 'broker-killed',
  title: 'the only broker is killed with -9 or frozen, and comes back, under load',
  brokers: 1,
  async play({ cluster, load, below, times, happened }) {
    const [broker] = cluster.nodes;
    for (let round = times(4); round > 0; round--) {
      await load.more(50 + below(100));
      const frozen = below(3) === 0;
      happened(`broker ${frozen ? 'frozen' : 'killed'}`);
      if (frozen) broker?.pause();
      else await broker?.kill();
      await load.more(40 + below(200));
      if (frozen) broker?.resume();
      else await broker?.start();
    }
    await load.more(100);
  },
};

export const kafkaAway: Scenario = {
  name: 'kafka-away',
  title: 'Kafka is away for a while: commands go on, read models too, and the backlog is sent in order',
  brokers: 1,
  async play({ app, cluster, load, databases, times, happened }) {
    const [broker] = cluster.nodes;
    await load.more(100);
    await broker?.stop();
    happened(`Kafka away for ${times(1_500)} events`);
    await load.more(times(1_500), 300_000);
    await load.stop();
    const db = openDatabase(databases.url);
    try {
      await eventually('read models go on without Kafka', () => isCaughtUp(db, app));
    } finally {
      await db.end();
    }
    load.start();
    await broker?.start();
    await load.more(100);
  },
};

/** The broker that leads a partition of the events. */
async function leaderOf({ app, tools }: World, partition: number): Promise<number> {
  const topic = topicsOf(app)[0]?.topic ?? '';
  const { topics } = await tools.withAdmin((admin) => admin.fetchTopicMetadata({ topics: [topic] }));
  return topics[0]?.partitions.find(({ partitionId }) => partitionId === partition)?.leader ?? 0;
}

/** Whether every partition has all its replicas in sync. */
async function isInSync({ app, tools }: World): Promise<boolean> {
  const wanted = topicsOf(app).map(({ topic }) => topic);
  const { topics } = await tools.withAdmin((admin) => admin.fetchTopicMetadata({ topics: wanted }));
  return topics.every(({ partitions }) =>
    partitions.every(({ isr, replicas, leader }) => leader > 0 && isr.length === replicas.length),
  );
}

export const leaderKilled: Scenario = {
  name: 'leader-killed',
  title: 'of three brokers, a leader is killed with -9 again and again, under load',
  brokers: 3,
  async play(world) {
    const { cluster, load, below, times, happened } = world;
    for (let round = times(5); round > 0; round--) {
      await load.more(50 + below(100));
      const id = await leaderOf(world, below(4));
      const leader = cluster.nodes.find((node) => node.id === id);
      if (!leader) throw new Error(`there is no broker ${id}`);
      happened(`leader ${id} killed`);
      await leader.kill();
      await load.more(50 + below(150));
      await leader.start();
      await eventually('all replicas in sync', () => isInSync(world).catch(() => false), 120_000);
    }
    await load.more(100);
  },
};

export const restoredBroker: Scenario = {
  name: 'restored-broker',
  title: 'the broker goes back to an earlier copy of its data: checkpoints and cursors are ahead of Kafka',
  brokers: 1,
  async play({ cluster, load, below, times, happened }) {
    const [broker] = cluster.nodes;
    const data = path.join(cluster.folder, 'broker-1', 'data');
    const copy = path.join(cluster.folder, 'copy');
    for (let round = times(2); round > 0; round--) {
      await load.more(60 + below(60));
      await broker?.stop();
      await rm(copy, { recursive: true, force: true });
      await cp(data, copy, { recursive: true });
      await broker?.start();
      await load.more(100 + below(200));
      happened('broker restored');
      await broker?.kill();
      await rm(data, { recursive: true, force: true });
      await cp(copy, data, { recursive: true });
      await broker?.start();
      await load.more(200);
    }
  },
};
