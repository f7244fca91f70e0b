/** A change log of three shards, and processes that follow it: what the feeds’ tests stand on. */
import { aggregate, defineApp, projection } from 'tidemark';
import { z } from 'zod';
import type { Feed } from '../../src/broker/ports.js';
import { HeadProbe } from '../../src/platform/head-probe.js';
import { silentLogger as logger } from '../../src/platform/logger.js';
import { Database } from '../../src/platform/postgres/database.js';
import { Leases } from '../../src/platform/postgres/leases.js';
import { migrate } from '../../src/platform/postgres/migrate.js';
import { Wakeups } from '../../src/platform/wakeups.js';
import { ensureReadModel } from '../../src/projections/read-model.js';
import type { ChangeEntry } from '../../src/projections/types.js';
import { freshDatabase } from './postgres.js';

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
const app = defineApp({
  auth: 'none',
  name: 'things',
  aggregates: [Thing],
  projections: [Things],
  shards: 3,
});

export const LOG = 'things.v1';
/** Of all changes. */
export const RECORDED_AT = '2026-01-01T00:00:00.000Z';

/** What a feed of a process is made with. */
export interface ThingsProcess {
  readonly db: Database;
  readonly wakeups: Wakeups;
  readonly leases: Leases;
  readonly probe: HeadProbe;
}

export interface Things {
  readonly db: Database;
  /** Wake-ups of all processes that live. */
  readonly everyone: ReadonlySet<Wakeups>;
  epoch(): Promise<string>;
  /** Appends so many changes to a shard. @returns its head before */
  append(shard: number, count: number): Promise<number>;
  trim(shard: number, low: number): Promise<void>;
  process(
    make: (parts: ThingsProcess) => Feed<ChangeEntry>,
    options?: { readonly probeMs?: number },
  ): Promise<{ feed: Feed<ChangeEntry>; stop(): Promise<void>; vanish(): Promise<void> } & ThingsProcess>;
  end(): Promise<void>;
}

export async function things(): Promise<Things> {
  const pg = await freshDatabase();
  const open = (role: string, max: number): Database =>
    new Database({ connectionString: pg.url, schema: 'tidemark', role, logger, max });
  const db = open('test', 3);
  await migrate(db);
  await ensureReadModel(db, app);
  const everyone = new Set<Wakeups>();
  const heads = new Map<number, number>();
  return {
    db,
    everyone,
    async epoch() {
      const [row] = await db.query<[string]>(
        `SELECT epoch FROM tidemark.shards WHERE log = $1 AND shard = 0`,
        [LOG],
      );
      return row?.[0] ?? '';
    },
    async append(shard, count) {
      const head = heads.get(shard) ?? 0;
      heads.set(shard, head + count);
      await db.query(
        `INSERT INTO tidemark.changes (log, shard, seq, slot, key, recorded_at)
         SELECT $4, $1, $2::bigint + n, 0, 'k', $5::timestamptz FROM generate_series(1, $3::int) n`,
        [shard, head, count, LOG, RECORDED_AT],
      );
      return head;
    },
    async trim(shard, low) {
      await db.query(
        `WITH gone AS (DELETE FROM tidemark.changes WHERE log = $3 AND shard = $1 AND seq <= $2)
         UPDATE tidemark.shards SET low = $2 WHERE log = $3 AND shard = $1`,
        [shard, low, LOG],
      );
    },
    async process(make, { probeMs = 50 } = {}) {
      const reader = open('reader', 3);
      const pulse = open('leases', 1);
      const wakeups = new Wakeups();
      everyone.add(wakeups);
      const leases = new Leases({ db: pulse, logger, beatMs: 50, ttlMs: 2_000 });
      const logs = { events: [], changes: [LOG] };
      const probe = new HeadProbe({ db: reader, wakeups, logger, intervalMs: probeMs, logs });
      await leases.start();
      await probe.start();
      const end = async (): Promise<void> => {
        everyone.delete(wakeups);
        await probe.stop();
        await leases.stop();
        await Promise.all([reader.end(), pulse.end()]);
      };
      const parts = { db: reader, wakeups, leases, probe };
      let ending: Promise<void> | undefined;
      return {
        ...parts,
        feed: make(parts),
        stop: () => (ending ??= end()),
        // Its connections end without a word to anybody: what it held still stands in its name.
        vanish: async () => {
          await Promise.all([reader.end(), pulse.end()]);
        },
      };
    },
    async end() {
      await db.end();
      await pg.drop();
    },
  };
}
