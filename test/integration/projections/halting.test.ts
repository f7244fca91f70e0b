/** What stops a projector, where exactly, and whom it leaves alone. */
import { aggregate, defineApp, event, projection } from 'tidemark';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import type { AnyApp } from '../../../src/domain/app.js';
import { createLogger } from '../../../src/platform/logger.js';
import { shardOf } from '../../../src/platform/murmur2.js';
import { readCheckpoints } from '../../../src/projections/checkpoints.js';
import { readSnapshot } from '../../../src/projections/snapshot.js';
import { Account, Accounts, bank, idsOf, Owners, SHARDS } from '../../support/bank.js';
import { freshDatabase, type FreshDatabase } from '../../support/postgres.js';
import {
  append,
  startProjecting,
  type ProjectingOptions,
  type ProjectingProcess,
} from '../../support/projecting.js';

let pg: FreshDatabase;
let processes: ProjectingProcess[] = [];
let lines: { level: string; msg: string; reason?: string; projection?: string }[] = [];

async function start(app: AnyApp, options: ProjectingOptions = {}): Promise<ProjectingProcess> {
  const destination = { write: (line: string) => void lines.push(JSON.parse(line)) };
  const logger = createLogger({ level: 'info', destination });
  const process = await startProjecting(pg.url, app, { logger, ...options });
  processes.push(process);
  return process;
}

beforeEach(async () => {
  pg = await freshDatabase();
  processes = [];
  lines = [];
});
afterEach(async () => {
  await Promise.all(processes.map((process) => process.stop()));
  await pg.drop();
});

/** A fold that throws halts its shard, as nothing may be parked. */
const strict = defineApp({
  auth: 'none',
  name: 'bank',
  aggregates: [Account],
  projections: [Accounts, Owners].map((one) => ({ ...one, parking: false as const })),
  shards: SHARDS,
});

const opened = (owner: string) => ({ type: 'Opened', data: { owner } });
const paid = (cents: number, owner = 'ann') => ({ type: 'Paid', data: { cents }, tags: { owner } });
const stateOf = (process: ProjectingProcess, name: string) =>
  process.statuses().find((status) => status.name === name);
const becomes = (process: ProjectingProcess, name: string, state: string) =>
  expect.poll(() => stateOf(process, name)?.state, { timeout: 60_000 }).toBe(state);

async function checkpoint(process: ProjectingProcess, projectionName: string, shard: number) {
  const points = await readCheckpoints(process.db, [{ name: projectionName, version: 1 }]);
  return points.find((point) => point.shard === shard)?.seq;
}

describe('an event that cannot be folded', () => {
  it('halts its shard right before it, with all before it in, and no other shard or projection', async () => {
    const one = await start(strict, { idle: true });
    const [a = '', b = '', c = ''] = idsOf(1);
    const [d = ''] = idsOf(2);
    await append(one.store, 'account', a, [opened('ann'), paid(1), paid(2)]);
    await append(one.store, 'account', b, [opened('bob'), paid(3, 'bob'), paid(666, 'bob'), paid(4, 'bob')]);
    await append(one.store, 'account', c, [opened('eve')]);
    await one.projections.start();
    await becomes(one, 'accounts', 'halted');
    await becomes(one, 'owners', 'live');
    expect(await checkpoint(one, 'accounts', 1)).toBe(5);
    await append(one.store, 'account', d, [opened('dan'), paid(4, 'dan')]);
    await expect.poll(() => checkpoint(one, 'accounts', 2)).toBe(2);
    await expect.poll(() => checkpoint(one, 'owners', 1)).toBe(8);
    await expect.poll(() => checkpoint(one, 'owners', 2)).toBe(2);
    const { rows } = await readSnapshot(one.db, Accounts, {}, 10);
    expect(Object.fromEntries(rows.map(([key, , row]) => [key, JSON.parse(row).cents]))).toEqual({
      [a]: 3,
      [b]: 3,
      [d]: 4,
    });
    const status = stateOf(one, 'accounts');
    expect(status?.reason).toBe(
      `account.Paid (stream "${b}" version 3, shard 1 seq 6): the devil is in the fold`,
    );
    await expect.poll(() => stateOf(one, 'accounts')?.lag).toBe(3);
    const owners = await readSnapshot(one.db, Owners, {}, 10);
    expect(owners.rows.map(([, , row]) => JSON.parse(row).cents)).toEqual([3, 673, 4]);
    expect(lines.filter(({ level }) => level === 'error')).toMatchObject([
      {
        msg: 'a shard of the projection halted; the others go on',
        projection: 'accounts',
        reason: status?.reason,
        shard: 1,
      },
    ]);
    expect(
      await one.db.query('SELECT source, shard, kind, reason, seq FROM tidemark.projection_stops'),
    ).toEqual([['account', 1, 'halted', status?.reason, 6]]);
  });

  it('counts as a whole: none of the rows that it touches keeps a part of it', async () => {
    const one = await start(strict);
    await append(one.store, 'account', 'a-1', [paid(5, 'bob')]);
    await append(one.store, 'account', 'a-1', [
      { type: 'Moved', data: { to: ['ann', 'bob', 'eve'], cents: 666 } },
    ]);
    await becomes(one, 'owners', 'halted');
    const { rows } = await readSnapshot(one.db, Owners, {}, 10);
    expect(rows.map(([, , row]) => JSON.parse(row))).toEqual([{ owner: 'bob', cents: 5, events: 1 }]);
  });

  it('is tried again after a restart, by code that can', async () => {
    const one = await start(strict);
    await append(one.store, 'account', 'a-1', [opened('ann'), paid(666)]);
    await becomes(one, 'accounts', 'halted');
    await one.stop();
    const mended = projection('accounts', {
      version: 1,
      row: z.object({
        id: z.string(),
        owner: z.string(),
        cents: z.int(),
        payments: z.int(),
        note: z.string().optional(),
        log: z.array(z.int()),
      }),
      key: 'id',
      channels: ['owner'],
    }).on(Account, { fold: { Paid: (row) => row && { ...row, payments: 77 } } });
    const two = await start(
      defineApp({ auth: 'none', name: 'bank', aggregates: [Account], projections: [mended], shards: SHARDS }),
    );
    await two.caughtUp();
    await becomes(two, 'accounts', 'live');
    expect(await two.db.query('SELECT FROM tidemark.projection_stops')).toEqual([]);
    const { rows } = await readSnapshot(two.db, mended, {}, 10);
    expect(rows.map(([, , row]) => JSON.parse(row))).toMatchObject([{ payments: 77 }]);
  });
});

describe('a row that cannot be stored', () => {
  const cases: [string, string, RegExp][] = [
    ['NUL in a text', 'a\u0000b', /row field \/owner: expected a text without NUL/],
    ['an unpaired surrogate', 'a\ud800', /unpaired surrogate/],
    ['an indexed text that no btree holds', 'é'.repeat(1_300), /indexed texts owner, id have \d+ bytes/],
    ['more than 512 KiB', 'x'.repeat(600_000), /the row is \d+ bytes of JSON; expected at most 524288/],
  ];
  it.each(cases)('halts: %s', async (_what, text, reason) => {
    const odd = projection('odd', {
      version: 1,
      row: z.object({ id: z.string(), owner: z.string(), n: z.int() }),
      key: 'id',
      indexes: ['owner'],
      parking: false,
    }).on(Account, {
      fold: {
        Opened: () => ({ owner: '', n: 0 }),
        // Short events make what no row holds: it is not the events' own limits that catch it.
        Noted: (row) => row && { ...row, owner: text, n: row.n + 1 },
        Paid: (row) => row && { ...row, n: row.n + 1 },
      },
    });
    const app = defineApp({
      auth: 'none',
      name: 'bank',
      aggregates: [Account],
      projections: [odd],
      shards: SHARDS,
    });
    const one = await start(app, { idle: true });
    const noted = { type: 'Noted', data: { text: '' } };
    await append(one.store, 'account', 'a-1', [opened('ann'), paid(1), noted, paid(1), noted]);
    await one.projections.start();
    await becomes(one, 'odd', 'halted');
    expect(stateOf(one, 'odd')?.reason).toMatch(reason);
    expect(stateOf(one, 'odd')?.reason).toContain('version 3');
    const { rows } = await readSnapshot(one.db, odd, {}, 10);
    expect(rows.map(([, , row]) => JSON.parse(row))).toEqual([{ id: 'a-1', owner: '', n: 1 }]);
  });

  it('is found by halves where only Postgres knows', async () => {
    const one = await start(strict, { idle: true });
    await one.db.query('ALTER TABLE tidemark.accounts__v1 ADD CONSTRAINT poor CHECK (cents < 100)');
    const [a = '', b = '', c = ''] = idsOf(2);
    await append(one.store, 'account', a, [opened('ann'), ...Array.from({ length: 20 }, () => paid(1))]);
    await append(one.store, 'account', b, [opened('bob'), paid(50), paid(60), paid(1)]);
    await append(one.store, 'account', c, [opened('eve')]);
    await one.projections.start();
    await becomes(one, 'accounts', 'halted');
    expect(stateOf(one, 'accounts')?.reason).toContain(`stream "${b}" version 3`);
    expect(await checkpoint(one, 'accounts', 2)).toBe(23);
    const { rows } = await readSnapshot(one.db, Accounts, {}, 10);
    expect(Object.fromEntries(rows.map(([key, , row]) => [key, JSON.parse(row).cents]))).toEqual({
      [a]: 20,
      [b]: 50,
    });
  });
});

describe('an event that is newer than the code', () => {
  it('makes its shard wait for newer code, while the other shards go on', async () => {
    const one = await start(bank, { tuning: { newerRetryMs: 200 } });
    const [a = ''] = idsOf(0);
    const [b = ''] = idsOf(3);
    await append(one.store, 'account', a, [opened('ann'), paid(1), { type: 'Frozen', data: {} }, paid(2)]);
    await append(one.store, 'account', b, [opened('bob')]);
    await becomes(one, 'accounts', 'needs_newer_code');
    await becomes(one, 'owners', 'needs_newer_code');
    await append(one.store, 'account', b, [paid(8)]);
    await expect.poll(() => checkpoint(one, 'accounts', 3)).toBe(2);
    await expect.poll(() => checkpoint(one, 'owners', 3)).toBe(2);
    expect(await checkpoint(one, 'accounts', 0)).toBe(2);
    expect(stateOf(one, 'accounts')?.reason).toMatch(/account\.Frozen.*newer than this code/);

    const newer = aggregate('account', {
      state: z.object({}),
      initial: {},
      events: {
        Opened: z.object({ owner: z.string() }),
        Paid: event(z.object({ cents: z.int() })),
        Frozen: z.object({}),
      },
      commands: {},
      tags: () => ({ owner: '' }),
    })
      .evolve({ Opened: (state) => state, Paid: (state) => state, Frozen: (state) => state })
      .decide({});
    const next = projection('owners', {
      version: 1,
      row: z.object({ owner: z.string(), cents: z.int(), events: z.int() }),
      key: 'owner',
    }).on(newer, {
      keys: ({ tags }) => tags.owner,
      fold: {
        Paid: (row, { data }) => ({ cents: (row?.cents ?? 0) + data.cents, events: (row?.events ?? 0) + 1 }),
      },
    });
    const app = defineApp({
      auth: 'none',
      name: 'bank',
      aggregates: [newer],
      projections: [next],
      shards: SHARDS,
    });
    const two = await start(app);
    await one.stop();
    await two.caughtUp();
    const { rows } = await readSnapshot(two.db, next, {}, 10);
    expect(rows.map(([, , row]) => JSON.parse(row))).toEqual([{ owner: 'ann', cents: 11, events: 3 }]);
    expect(shardOf(a, SHARDS)).toBe(0);
  });
});

describe('events that were trimmed away', () => {
  it('halt a projector that still needs them', async () => {
    const one = await start(bank, { idle: true });
    const [a = ''] = idsOf(1);
    await append(one.store, 'account', a, [opened('ann'), paid(1)]);
    await one.db.query(`UPDATE tidemark.shards SET low = 1 WHERE log = 'account' AND shard = 1`);
    await one.projections.start();
    await becomes(one, 'accounts', 'halted');
    expect(stateOf(one, 'accounts')?.reason).toMatch(/shard 1, up to seq 1 were trimmed/);
  });
});
