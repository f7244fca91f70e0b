/** Faults of the relay: killed between send and cursor, frozen past its lease, away while the tail is written. */
import pg from 'pg';
import { isCaughtUp, openDatabase } from '../../stage/findings.js';
import type { Actor } from '../../stage/cast.js';
import { topicsOf } from '../topics.js';
import { eventually } from '../../stage/waiting.js';
import type { Scenario, World } from '../world.js';

/** Records in the topic of events, removed ones too. */
async function sentEvents({ app, tools }: World): Promise<number> {
  const topic = topicsOf(app)[0]?.topic ?? '';
  const offsets = await tools.withAdmin((admin) => admin.fetchTopicOffsets(topic));
  return offsets.reduce((sum, { high }) => sum + Number(high), 0);
}

/** Kills it when records are sent whose cursors it cannot move: a lock is in its way. */
async function killBetween(world: World, relay: Actor): Promise<void> {
  // No pool of ours: those end a transaction that rests.
  const client = new pg.Client({ connectionString: world.databases.url });
  await client.connect();
  try {
    await client.query('BEGIN; LOCK TABLE tidemark.relay_cursors IN EXCLUSIVE MODE');
    const before = await sentEvents(world);
    await eventually('sent without its cursor', async () => (await sentEvents(world)) > before);
    await world.cast.end(relay);
  } finally {
    await client.end();
  }
}

export const relayKilled: Scenario = {
  name: 'relay-killed',
  title: 'the relay is killed with -9 again and again, every other time between a send and its cursor',
  async play(world) {
    const { cast, load, below } = world;
    for (let round = world.times(6); round > 0; round--) {
      await load.more(30 + below(80));
      const relay = cast.the('relay');
      if (round % 2 === 1) {
        world.happened('relay killed between send and cursor');
        await killBetween(world, relay);
      } else {
        world.happened('relay killed');
        await cast.end(relay);
      }
      await cast.start('relay');
    }
    await load.more(50);
  },
};

/** How many processes hold leases of the relay. */
async function relaysAtWork({ databases }: World): Promise<number> {
  const db = openDatabase(databases.url);
  try {
    const [row] = await db.query<[number]>(
      `SELECT count(DISTINCT holder)::int FROM ${db.table('leases')} WHERE scope LIKE '%relay%' AND holder IS NOT NULL`,
    );
    return row?.[0] ?? 0;
  } finally {
    await db.end();
  }
}

export const zombieRelay: Scenario = {
  name: 'zombie-relay',
  title: 'two relays share the shards; one is frozen past its leases and goes on',
  async play(world) {
    const { cast, load, below } = world;
    if (cast.of('relay').length < 2) await cast.start('relay');
    for (let round = world.times(3); round > 0; round--) {
      await eventually('two relays share the shards', async () => (await relaysAtWork(world)) === 2);
      await load.more(20 + below(40));
      const relays = cast.of('relay');
      const zombie = relays[below(relays.length)];
      if (!zombie) throw new Error('there is no relay');
      world.happened('relay frozen past its leases');
      zombie.freeze();
      await eventually('the other has all shards', async () => (await relaysAtWork(world)) === 1);
      await load.more(20 + below(40));
      zombie.thaw();
      await load.more(40);
    }
  },
};

export const lostTail: Scenario = {
  name: 'lost-tail',
  title: 'the last records of every shard are not sent, and the cursors say that they were',
  async play(world) {
    const { cast, load, databases, app } = world;
    for (let round = world.times(3); round > 0; round--) {
      await load.more(30);
      for (const relay of cast.of('relay')) await cast.end(relay);
      await load.more(20 + world.below(60));
      await load.stop();
      world.happened('tail never sent');
      const db = openDatabase(databases.url);
      try {
        await eventually('projections have the tail without Kafka', () => isCaughtUp(db, app));
        // As if it had been sent: the relay must find in Kafka itself that it was not.
        await db.query(
          `UPDATE ${db.table('relay_cursors')} c SET seq = greatest(c.seq,
             (SELECT coalesce(max(e.seq), 0) FROM ${db.table('events')} e WHERE e.category = c.log AND e.shard = c.shard))`,
        );
      } finally {
        await db.end();
      }
      load.start();
      await cast.start('relay');
      await load.more(30);
    }
  },
};
