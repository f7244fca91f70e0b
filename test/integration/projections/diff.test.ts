/** What `diffVersions` tells of two versions of a projection: rows, columns and positions, as of one moment. */
import { defineApp, projection } from 'tidemark';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { z } from 'zod';
import { diffVersions } from '../../../src/projections/verify/diff.js';
import { Account, SHARDS } from '../../support/bank.js';
import { freshDatabase, type FreshDatabase } from '../../support/postgres.js';
import { append, startProjecting, type ProjectingProcess } from '../../support/projecting.js';

/** Other than the first: cents of large payments count double, `rank` is new, `payments` is a text, `note` is gone. */
const versionOf = (version: 1 | 2) => {
  const common = { id: z.string(), owner: z.string(), cents: z.int(), log: z.array(z.int()) };
  const One = z.object({ ...common, payments: z.int(), note: z.string().optional() });
  const Two = z.object({ ...common, payments: z.number(), rank: z.string() });
  const times = (cents: number): number => (version === 2 && cents >= 50 ? 2 * cents : cents);
  if (version === 1) {
    return projection('accounts', { version, row: One, key: 'id' }).on(Account, {
      fold: {
        Opened: (_row, { data }) => ({ owner: data.owner, cents: 0, payments: 0, log: [] }),
        Paid: (row, { data }) => row && { ...row, cents: row.cents + data.cents, payments: row.payments + 1 },
        Closed: () => null,
      },
    });
  }
  return projection('accounts', { version, row: Two, key: 'id' }).on(Account, {
    fold: {
      Opened: (_row, { data }) =>
        data.owner === 'ida' ? null : { owner: data.owner, cents: 0, payments: 0, log: [], rank: 'new' },
      Paid: (row, { data }) =>
        row && { ...row, cents: row.cents + times(data.cents), payments: row.payments + 1 },
    },
  });
};
const appOf = (version: 1 | 2) =>
  defineApp({
    auth: 'none',
    name: 'bank',
    aggregates: [Account],
    projections: [versionOf(version)],
    shards: SHARDS,
  });

let pg: FreshDatabase;
let first: ProjectingProcess;
let second: ProjectingProcess;

beforeAll(async () => {
  pg = await freshDatabase();
  first = await startProjecting(pg.url, appOf(1), { beatMs: 50 });
  second = await startProjecting(pg.url, appOf(2), { beatMs: 50 });
  const owners = ['ann', 'bob', 'eve', 'ida'];
  await Promise.all(
    Array.from({ length: 20 }, (_, n) =>
      append(first.store, 'account', `a-${n}`, [
        { type: 'Opened', data: { owner: owners[n % 4] } },
        { type: 'Paid', data: { cents: n === 4 || n === 5 ? 60 : 1 } },
        ...(n === 6 ? [{ type: 'Closed', data: {} }] : []),
      ]),
    ),
  );
  await Promise.all([first.caughtUp(), second.caughtUp()]);
});
afterAll(async () => {
  await first.stop();
  await second.stop();
  await pg.drop();
});

it('tells rows that differ in common columns, with both values, and rows and columns of one only', async () => {
  const found = await diffVersions(first.db, 'accounts', [1, 2]);
  expect(found).toMatchObject({
    versions: [1, 2],
    rows: [19, 15],
    samePosition: true,
    columns: { firstOnly: ['note'], secondOnly: ['rank'] },
    differing: { total: 2, byColumn: { cents: 2 } },
    firstOnly: { total: 5, keys: ['a-11', 'a-15', 'a-19', 'a-3', 'a-7'] },
    secondOnly: { total: 1, keys: ['a-6'] },
  });
  expect(found.differing.listed).toEqual([
    { key: 'a-4', columns: [{ column: 'cents', first: '60', second: '120' }] },
    { key: 'a-5', columns: [{ column: 'cents', first: '60', second: '120' }] },
  ]);
  expect(found.columns.both.toSorted()).toEqual(['cents', 'id', 'log', 'owner', 'payments']);
});

it('compares JSON as what it says, and lists no more than it is asked for', async () => {
  await first.db.query(`UPDATE tidemark.accounts__v1 SET log = ' [ ] ' WHERE id = 'a-0'`);
  expect((await diffVersions(first.db, 'accounts', [1, 2])).differing.total).toBe(2);
  await first.db.query(`UPDATE tidemark.accounts__v1 SET log = '[1]'`);
  const found = await diffVersions(first.db, 'accounts', [1, 2], { limit: 3 });
  expect(found.differing).toMatchObject({ total: 14, byColumn: { cents: 2, log: 14 } });
  expect(found.differing.listed).toHaveLength(3);
  expect(found.firstOnly.keys).toHaveLength(3);
});

it('tells where the two stand', async () => {
  await first.db.query(
    `UPDATE tidemark.checkpoints SET seq = seq + 1 WHERE projection = 'accounts' AND version = 2 AND shard = 1`,
  );
  const found = await diffVersions(first.db, 'accounts', [1, 2]);
  expect(found.samePosition).toBe(false);
  expect(found.positions).toHaveLength(SHARDS);
  const { seqs } = found.positions[1] ?? {};
  expect(seqs?.[1]).toBe((seqs?.[0] ?? 0) + 1);
});

it('refuses what cannot be compared, and stops when it is told to', async () => {
  const code = (wanted: string) => expect.objectContaining({ code: wanted });
  await expect(diffVersions(first.db, 'accounts', [1, 3])).rejects.toEqual(code('unknown_projection'));
  await expect(diffVersions(first.db, 'accounts', [1, 2], { timeoutMs: 0 })).rejects.toEqual(
    code('query_timeout'),
  );
  const signal = AbortSignal.abort(new Error('enough'));
  await expect(diffVersions(first.db, 'accounts', [1, 2], { signal })).rejects.toThrow('enough');
  await first.db.query(`UPDATE tidemark.projections SET loaded = false WHERE version = 2`);
  await expect(diffVersions(first.db, 'accounts', [1, 2])).rejects.toEqual(code('wrong_state'));
});

it('ends the statement that runs when its signal is aborted', async () => {
  await first.db.query(`UPDATE tidemark.projections SET loaded = true WHERE version = 2`);
  const stop = new AbortController();
  // A lock that the comparison waits for, as it would for a table that is being changed.
  const waiting = first.db.transaction(async (tx) => {
    // It stands still on purpose: Postgres would end it after five seconds.
    await tx.query('SET LOCAL idle_in_transaction_session_timeout = 0');
    await tx.query('LOCK TABLE tidemark.accounts__v2 IN ACCESS EXCLUSIVE MODE');
    const comparing = diffVersions(first.db, 'accounts', [1, 2], { signal: stop.signal });
    const ended = expect(comparing).rejects.toThrow('enough');
    await expect
      .poll(async () => {
        const [row] = await second.db.query<[number]>(
          `SELECT count(*)::int FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE 'WITH d AS%'`,
        );
        return row?.[0];
      })
      .toBe(1);
    stop.abort(new Error('enough'));
    await ended;
  });
  await waiting;
});
