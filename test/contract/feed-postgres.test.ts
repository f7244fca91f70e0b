/** The Postgres feed, over a change log. */
import { aggregate, defineApp, projection } from 'tidemark';
import { z } from 'zod';
import { PostgresFeed } from '../../src/broker/postgres/feed.js';
import { HeadProbe } from '../../src/platform/head-probe.js';
import { silentLogger as logger } from '../../src/platform/logger.js';
import { Database } from '../../src/platform/postgres/database.js';
import { Leases } from '../../src/platform/postgres/leases.js';
import { migrate } from '../../src/platform/postgres/migrate.js';
import { Wakeups } from '../../src/platform/wakeups.js';
import { readChanges } from '../../src/projections/change-log.js';
import { ensureReadModel } from '../../src/projections/read-model.js';
import type { ChangeEntry } from '../../src/projections/types.js';
import { freshDatabase } from '../support/postgres.js';
import { feedContract, type FeedProcess, type FeedWorld } from './feed.js';

const Thing = aggregate('thing', {
  state: z.object({}),
  initial: {},
  events: { Made: z.object({}) },
  commands: {},
})
  .evolve({ Made: (state) => state })
  .decide({});
const Things = projection('things', { version: 1, row: z.object({ id: z.string() }), key: 'id' }).on(Thing, {
  fold: { Made: () => ({}) },
});
const app = defineApp({ name: 'things', aggregates: [Thing], projections: [Things], shards: 3 });

async function process(url: string, everyone: Set<Wakeups>): Promise<FeedProcess<ChangeEntry>> {
  const open = (role: string, max: number): Database =>
    new Database({ connectionString: url, schema: 'tidemark', role, logger, max });
  const db = open('reader', 3);
  const pulse = open('leases', 1);
  const wakeups = new Wakeups();
  everyone.add(wakeups);
  const leases = new Leases({ db: pulse, logger, beatMs: 50, ttlMs: 2_000 });
  const probe = new HeadProbe({
    db,
    wakeups,
    logger,
    intervalMs: 50,
    logs: { events: [], changes: ['things.v1'] },
  });
  await leases.start();
  await probe.start();
  const read = readChanges.bind(undefined, db);
  const feed = new PostgresFeed<ChangeEntry>({ read, wakeups, leases, logger, notNowMs: 20 });
  const end = async (): Promise<void> => {
    everyone.delete(wakeups);
    await probe.stop();
    await leases.stop();
    await Promise.all([db.end(), pulse.end()]);
  };
  let ending: Promise<void> | undefined;
  return {
    feed,
    stop: () => (ending ??= end()),
    // Its connections end without a word to anybody: what it held still stands in its name.
    vanish: async () => {
      await Promise.all([db.end(), pulse.end()]);
    },
  };
}

async function world(): Promise<FeedWorld<ChangeEntry>> {
  const pg = await freshDatabase();
  const db = new Database({ connectionString: pg.url, schema: 'tidemark', role: 'test', logger });
  await migrate(db);
  await ensureReadModel(db, app);
  const everyone = new Set<Wakeups>();
  const heads = new Map<number, number>();
  return {
    log: 'things.v1',
    async append(shard, count, { hint = true } = {}) {
      const head = heads.get(shard) ?? 0;
      heads.set(shard, head + count);
      await db.query(
        `INSERT INTO tidemark.changes (log, shard, seq, slot, key, recorded_at)
         SELECT 'things.v1', $1, $2::bigint + n, 0, 'k', now() FROM generate_series(1, $3::int) n`,
        [shard, head, count],
      );
      if (hint) for (const wakeups of everyone) wakeups.announce('things.v1', shard, head + count);
    },
    async trim(shard, low) {
      await db.query(
        `WITH gone AS (DELETE FROM tidemark.changes WHERE log = 'things.v1' AND shard = $1 AND seq <= $2)
         UPDATE tidemark.shards SET low = $2 WHERE log = 'things.v1' AND shard = $1`,
        [shard, low],
      );
    },
    process: () => process(pg.url, everyone),
    async end() {
      await db.end();
      await pg.drop();
    },
  };
}

feedContract('Postgres feed', world);
