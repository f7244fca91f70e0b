/** Events that a broker still has and Postgres lost, in a fail-over or a restore: no projection may count them, or stand still at them. */
import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { PostgresFeed } from '../../../src/broker/postgres/feed.js';
import type { StoredEvent } from '../../../src/domain/events.js';
import type { AnyReadModel } from '../../../src/domain/tables.js';
import { silentLogger as logger } from '../../../src/platform/logger.js';
import { shardOf } from '../../../src/platform/murmur2.js';
import { Database } from '../../../src/platform/postgres/database.js';
import { Leases } from '../../../src/platform/postgres/leases.js';
import { readCheckpoints } from '../../../src/projections/checkpoints.js';
import { Projector } from '../../../src/projections/projector.js';
import { Accounts, bank, Owners, SHARDS } from '../../support/bank.js';
import { freshDatabase, type FreshDatabase } from '../../support/postgres.js';
import { append, startProjecting, type ProjectingProcess } from '../../support/projecting.js';
import { readModelFaults } from '../../support/read-model-check.js';
import { Takings, takingsFaults, till } from '../../support/takings.js';

const SHARD = shardOf('a-1', SHARDS);
const ends: (() => Promise<unknown>)[] = [];
let pg: FreshDatabase;
let one: ProjectingProcess;

beforeEach(async () => {
  pg = await freshDatabase();
});
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
  await one.stop();
  await pg.drop();
});

const opened = { type: 'Opened', data: { owner: 'ann' } };
const paid = (cents: number) => ({ type: 'Paid', data: { cents }, tags: { owner: 'ann' } });

/** A worker whose feed gives, after the last event of the account’s shard, what stands in `ghosts`. */
async function haunted(projection: AnyReadModel) {
  const settings = { connectionString: pg.url, schema: 'tidemark', logger };
  const db = new Database({ ...settings, role: 'haunted' });
  const pulse = new Database({ ...settings, role: 'haunted-leases', max: 1 });
  const leases = new Leases({ db: pulse, logger, beatMs: 30 });
  const told: string[] = [];
  const haunting: { ghosts: StoredEvent[] } = { ghosts: [] };
  const { wakeups, store } = one;
  const feed = new PostgresFeed<StoredEvent>({
    read: async (log, shard, after, limit) => {
      const page = await store.readShard(log, shard, after, limit);
      if (page.kind === 'trimmed' || shard !== SHARD) return page;
      const last = page.entries.at(-1)?.seq ?? after;
      const ghosts = haunting.ghosts.filter(({ seq }) => seq > last);
      return { kind: 'entries', entries: [...page.entries, ...(ghosts[0]?.seq === last + 1 ? ghosts : [])] };
    },
    wakeups,
    leases,
    logger,
    notNowMs: 20,
  });
  const projector = new Projector({
    projection,
    db,
    feed,
    leases,
    announcer: wakeups,
    logger,
    shards: SHARDS,
    observer: {
      wrote: () => undefined,
      conflict: ({ kind }) => told.push(kind),
      halted: () => told.push('halted'),
      parked: () => told.push('parked'),
    },
  });
  await leases.start();
  await projector.start();
  ends.push(async () => {
    await projector.stop();
    await leases.stop();
    await Promise.all([db.end(), pulse.end()]);
  });
  const at = async (seq: number): Promise<void> => {
    await expect
      .poll(async () => {
        wakeups.hint('account', SHARD, seq);
        const points = await readCheckpoints(one.db, [projection]);
        return points.find(({ shard }) => shard === SHARD)?.seq;
      }, WAIT)
      .toBe(seq);
  };
  return { projector, told, haunting, at };
}
const WAIT = { timeout: 60_000, interval: 10 };

describe.each([
  ['rows of one stream each', bank, Accounts],
  ['rows of many streams', bank, Owners],
  ['tables that a handler writes', till, Takings],
])('%s', (_name, app, projection) => {
  it('take no event that Postgres does not have, and go on with what it has', async () => {
    one = await startProjecting(pg.url, app, { idle: true });
    await append(one.store, 'account', 'a-1', [opened, paid(5)]);
    const { projector, told, haunting, at } = await haunted(projection);
    await at(2);
    const { entries } = await one.store
      .readShard('account', SHARD, 1, 1)
      .then((page) => (page.kind === 'entries' ? page : { entries: [] }));
    const [real] = entries;
    if (!real) throw new Error('an event was appended');
    const ghost = (seq: number, changes: Partial<StoredEvent>): StoredEvent => ({
      ...real,
      eventId: randomUUID(),
      seq,
      version: seq,
      ...changes,
    });
    const seen = async (ghosts: StoredEvent[]): Promise<void> => {
      told.length = 0;
      haunting.ghosts = ghosts;
      one.wakeups.hint('account', SHARD, 2 + ghosts.length);
      await expect.poll(() => told, WAIT).toContain('ghost');
      haunting.ghosts = [];
      expect(new Set(told)).toEqual(new Set(['ghost']));
    };
    await seen([ghost(3, {}), ghost(4, {})]);
    // What stops a shard when it is there: an event of another code, one that cannot be folded, and an id that is none.
    await seen([ghost(3, { type: 'Unheard' })]);
    await seen([ghost(3, { data: { cents: 666 } })]);
    await seen([ghost(3, { eventId: 'no uuid' })]);
    await at(2);
    expect(projector.state).toEqual({ state: 'working' });
    await append(one.store, 'account', 'a-1', [paid(7)]);
    await at(3);
    const faults =
      projection.kind === 'tables'
        ? await takingsFaults(one.db)
        : await readModelFaults(one.db, one.store, projection, SHARDS);
    expect(faults).toEqual([]);
  });
});
