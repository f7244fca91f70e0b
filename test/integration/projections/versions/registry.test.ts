/** What a process knows of its versions, look by look: what changed, what may be read, and who moves the state. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { TidemarkError } from '../../../../src/platform/errors.js';
import { HeadProbe } from '../../../../src/platform/head-probe.js';
import { silentLogger } from '../../../../src/platform/logger.js';
import { Database } from '../../../../src/platform/postgres/database.js';
import { ensureLog } from '../../../../src/platform/postgres/logs.js';
import { migrate } from '../../../../src/platform/postgres/migrate.js';
import { Wakeups } from '../../../../src/platform/wakeups.js';
import type { Behind } from '../../../../src/projections/progress-tracker.js';
import { ensureReadModel } from '../../../../src/projections/read-model.js';
import { StateFollower } from '../../../../src/projections/versions/following.js';
import { ProjectionRegistry } from '../../../../src/projections/versions/registry.js';
import { bank } from '../../../support/bank.js';
import { freshDatabase, type FreshDatabase } from '../../../support/postgres.js';

const logger = silentLogger;
const { projections } = bank;
let postgres: FreshDatabase;
let db: Database;

beforeAll(async () => {
  postgres = await freshDatabase();
  db = new Database({ connectionString: postgres.url, schema: 'tidemark', role: 'test', logger, max: 3 });
});
afterAll(async () => {
  await db.end();
  await postgres.drop();
});
beforeEach(async () => {
  await db.query('DROP SCHEMA IF EXISTS tidemark CASCADE');
  await migrate(db);
  await ensureLog(db, 'account', bank.shards);
  await ensureReadModel(db, bank);
});

/** It looks when the test says so. */
async function withRegistry(work: (registry: ProjectionRegistry) => Promise<void>): Promise<void> {
  const logs = { events: ['account'], changes: [] };
  const probe = new HeadProbe({ db, wakeups: new Wakeups(), logger, logs });
  const registry = new ProjectionRegistry({ db, projections, probe, logger });
  await registry.start();
  try {
    await work(registry);
  } finally {
    await registry.stop();
  }
}

const set = (columns: string) =>
  db.query(`UPDATE tidemark.projections SET ${columns} WHERE name = 'accounts'`);
const epochOf = async (log: string): Promise<string> => {
  const [row] = await db.query<[string]>('SELECT max(epoch) FROM tidemark.shards WHERE log = $1', [log]);
  return row?.[0] ?? '';
};
const code = (work: Promise<unknown>): Promise<string | undefined> =>
  work.then(
    () => undefined,
    (error: TidemarkError) => error.code,
  );

describe('the registry', () => {
  it('knows all of it after its start, and tells what has changed since, and nothing else', async () => {
    await withRegistry(async (registry) => {
      expect(registry.facts('accounts')).toEqual({
        name: 'accounts',
        version: 1,
        state: 'catching_up',
        loaded: true,
        ready: false,
        acceptParked: false,
        parkedKeys: 0,
        stops: [],
      });
      // The first time that they may be read is kept.
      const ready = async (): Promise<unknown[]> => {
        await registry.look();
        return projections.map(({ name }) => registry.facts(name)?.ready);
      };
      await expect.poll(ready, { timeout: 60_000 }).toEqual([true, true]);
      let changes = 0;
      registry.onChange(() => changes++);
      await registry.look();
      expect(changes).toBe(0);
      await db.query(
        `INSERT INTO tidemark.projection_stops (projection, version, source, shard, kind, reason, seq) VALUES ('accounts', 1, 'account', 2, 'halted', 'why', 9)`,
      );
      await set(
        `state = 'halted', reason = 'why', progress = '{"startedAt":"x","phase":"loading","events":1,"total":2,"perSecond":3}'`,
      );
      await Promise.all([registry.look(), registry.look()]);
      expect(changes).toBe(1);
      expect(registry.facts('accounts')).toMatchObject({
        state: 'halted',
        reason: 'why',
        stops: [{ source: 'account', shard: 2, kind: 'halted', reason: 'why', seq: 9 }],
        progress: { phase: 'loading', events: 1, total: 2, perSecond: 3 },
      });
      await set(`progress = NULL`);
      await registry.look();
      expect(changes).toBe(1);
      expect(registry.facts('nobody')).toBeUndefined();
    });
  });

  it('lets through only what was read of the epoch that may be read, and looks once more before it refuses', async () => {
    await withRegistry(async (registry) => {
      const epoch = await epochOf('accounts.v1');
      await registry.confirm('accounts', epoch);
      // As a rebuild begins: not seen yet.
      await set(`loaded = false, state = 'building', ready_at = NULL`);
      await db.query(`UPDATE tidemark.shards SET epoch = 'e2' WHERE log = 'accounts.v1'`);
      expect(registry.refusal('accounts')).toBeUndefined();
      expect(await code(registry.confirm('accounts', 'e2'))).toBe('projection_building');
      expect(registry.refusal('accounts')).toBe('accounts v1 is being built');
      expect(registry.wasServable('accounts')).toBe(true);
      expect(await code(registry.confirm('accounts', epoch))).toBe('projection_building');
      // And as it ends.
      await set(`loaded = true, state = 'catching_up'`);
      await registry.confirm('accounts', 'e2');
      expect(registry.refusal('accounts')).toBeUndefined();
      // The other one was never touched.
      await registry.confirm('owners', await epochOf('owners.v1'));
    });
  });

  it('goes on when Postgres answers again', async () => {
    await withRegistry(async (registry) => {
      await db.query('ALTER TABLE tidemark.parked RENAME TO away');
      await expect(registry.look()).rejects.toThrow('parked');
      expect(registry.refusal('accounts')).toBeUndefined();
      await db.query('ALTER TABLE tidemark.away RENAME TO parked');
      await set(`state = 'paused'`);
      await registry.look();
      expect(registry.facts('accounts')?.state).toBe('paused');
    });
  });
});

describe('the state', () => {
  it('is live within three seconds of the events, is so until ten, and is nobody else’s to move', async () => {
    await withRegistry(async (registry) => {
      const behind = new Map<string, Behind>(
        projections.map(({ name }) => [name, { lag: 1, behindMs: 5_000 }]),
      );
      const tracker = { behind: (name: string) => behind.get(name) };
      const follower = new StateFollower({ db, projections, registry, tracker, logger });
      const after = async (behindMs: number): Promise<string | undefined> => {
        behind.set('accounts', { lag: 1, behindMs });
        await registry.look();
        await follower.settled();
        await registry.look();
        return registry.facts('accounts')?.state;
      };
      expect(await after(3_000)).toBe('catching_up');
      expect(await after(2_999)).toBe('live');
      expect(await after(10_000)).toBe('live');
      expect(await after(10_001)).toBe('catching_up');
      expect(await after(0)).toBe('live');
      for (const state of ['paused', 'halted', 'needs_newer_code', 'building', 'retired']) {
        await set(`state = '${state}'`);
        expect(await after(0)).toBe(state);
        expect(await after(60_000)).toBe(state);
      }
      await set(`state = 'catching_up', loaded = false`);
      expect(await after(0)).toBe('catching_up');
      expect(registry.facts('owners')?.state).toBe('catching_up');
      await follower.stop();
    });
  });
});
