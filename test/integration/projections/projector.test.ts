/** One projector in one process: rows, changes, revisions, and what stops it. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { shardOf } from '../../../src/platform/murmur2.js';
import { readChanges } from '../../../src/projections/change-log.js';
import { readSnapshot } from '../../../src/projections/snapshot.js';
import { bank, SHARDS, Accounts, Owners } from '../../support/bank.js';
import { freshDatabase, type FreshDatabase } from '../../support/postgres.js';
import { append, startProjecting, type ProjectingProcess } from '../../support/projecting.js';

let pg: FreshDatabase;
let one: ProjectingProcess;

beforeEach(async () => {
  pg = await freshDatabase();
  one = await startProjecting(pg.url, bank);
});
afterEach(async () => {
  await one.stop();
  await pg.drop();
});

const opened = (owner: string) => ({ type: 'Opened', data: { owner } });
const paid = (cents: number, owner = 'ann') => ({ type: 'Paid', data: { cents }, tags: { owner } });

async function changes(log: string, key: string) {
  const page = await readChanges(one.db, log, shardOf(key, SHARDS), 0, 1_000);
  return page.kind === 'entries' ? page.entries.filter((entry) => entry.key === key) : [];
}

describe('a projector', () => {
  it('folds one stream into one row, and many streams into one', async () => {
    await append(one.store, 'account', 'a-1', [opened('ann'), paid(5), paid(7)]);
    await append(one.store, 'account', 'a-2', [opened('bob'), paid(11, 'bob'), paid(1, 'ann')]);
    await one.caughtUp();
    const accounts = await readSnapshot(one.db, Accounts, {}, 10);
    expect(accounts.rows.map(([key, , row]) => [key, JSON.parse(row)])).toEqual([
      ['a-1', { id: 'a-1', owner: 'ann', cents: 12, payments: 2, log: [2, 3] }],
      ['a-2', { id: 'a-2', owner: 'bob', cents: 12, payments: 2, log: [2, 3] }],
    ]);
    const owners = await readSnapshot(one.db, Owners, {}, 10);
    expect(owners.rows.map(([, , row]) => JSON.parse(row))).toEqual([
      { owner: 'ann', cents: 13, events: 3 },
      { owner: 'bob', cents: 11, events: 1 },
    ]);
  });

  it('writes a change with the row as it is, and its channels as they were', async () => {
    await append(one.store, 'account', 'a-1', [opened('ann')]);
    await one.caughtUp();
    await append(one.store, 'account', 'a-1', [{ type: 'Noted', data: { text: 'eve' } }]);
    await one.caughtUp();
    const [first, second] = await changes('accounts.v1', 'a-1');
    expect(first).toMatchObject({
      seq: 1,
      before: null,
      row: '{"id":"a-1","owner":"ann","cents":0,"payments":0,"log":[]}',
    });
    expect(second).toMatchObject({
      seq: 2,
      before: { owner: 'ann' },
      row: '{"id":"a-1","owner":"eve","cents":0,"payments":0,"log":[]}',
    });
    const { rows } = await readSnapshot(one.db, Accounts, { key: 'a-1' }, 1);
    expect(rows).toEqual([['a-1', 2, second?.row]]);
  });

  it('raises the revision over delete and re-create, and writes nothing where nothing changed', async () => {
    const step = async (event: { type: string; data: unknown }) => {
      await append(one.store, 'account', 'a-1', [event]);
      await one.caughtUp();
    };
    await step(opened('ann'));
    await step({ type: 'Noted', data: { text: 'ann' } });
    await step({ type: 'Ignored', data: {} });
    await step({ type: 'Closed', data: {} });
    await step({ type: 'Closed', data: {} });
    await step(opened('bob'));
    expect(
      (await changes('accounts.v1', 'a-1')).map(({ seq, before, row }) => [seq, before, row !== null]),
    ).toEqual([
      [1, null, true],
      [2, { owner: 'ann' }, false],
      [3, null, true],
    ]);
    const { rows } = await readSnapshot(one.db, Accounts, {}, 10);
    expect(rows.map(([key, rev]) => [key, rev])).toEqual([['a-1', 3]]);
  });

  it('leaves no row, and no change, of what came and went in one batch', async () => {
    await append(one.store, 'account', 'a-1', [opened('ann'), paid(3), { type: 'Closed', data: {} }]);
    await one.caughtUp();
    expect(await changes('accounts.v1', 'a-1')).toEqual([]);
    expect((await readSnapshot(one.db, Accounts, {}, 10)).rows).toEqual([]);
  });

  it('touches several rows by one event', async () => {
    await append(one.store, 'account', 'a-1', [
      { type: 'Moved', data: { to: ['x', 'y', 'x', 'z'], cents: 2 } },
    ]);
    await append(one.store, 'account', 'a-2', [{ type: 'Moved', data: { to: ['y'], cents: 3 } }]);
    await append(one.store, 'account', 'a-2', [{ type: 'Moved', data: { to: [], cents: 3 } }]);
    await one.caughtUp();
    const { rows } = await readSnapshot(one.db, Owners, {}, 10);
    expect(rows.map(([, , row]) => JSON.parse(row))).toEqual([
      { owner: 'x', cents: 2, events: 1 },
      { owner: 'y', cents: 5, events: 2 },
      { owner: 'z', cents: 2, events: 1 },
    ]);
  });

  it('tells that it is live and how far it is', async () => {
    await append(one.store, 'account', 'a-1', [opened('ann')]);
    await one.caughtUp();
    await expect
      .poll(() => one.statuses().map(({ name, state, lag }) => [name, state, lag]))
      .toEqual([
        ['accounts', 'live', 0],
        ['owners', 'live', 0],
      ]);
  });
});
