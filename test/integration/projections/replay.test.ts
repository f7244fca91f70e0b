/** How parked keys come back without a hole. */
import { projection } from 'tidemark';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import type { AnyApp } from '../../../src/domain/app.js';
import type { AnyProjection } from '../../../src/domain/projection.js';
import { replayAllParked, replayParked, skipParked } from '../../../src/projections/parked/operations.js';
import { readSnapshot } from '../../../src/projections/snapshot.js';
import { move } from '../../../src/projections/states.js';
import { Account, idsOf, SHARDS } from '../../support/bank.js';
import { mendable } from '../../support/mendable.js';
import { centsOf, moved, opened, paid, parked } from '../../support/parked.js';
import { freshDatabase, type FreshDatabase } from '../../support/postgres.js';
import {
  append,
  startProjecting,
  type ProjectingOptions,
  type ProjectingProcess,
} from '../../support/projecting.js';
import { readModelFaults } from '../../support/read-model-check.js';

let pg: FreshDatabase;
let processes: ProjectingProcess[] = [];
async function start(app: AnyApp, options: ProjectingOptions = {}): Promise<ProjectingProcess> {
  const process = await startProjecting(pg.url, app, { beatMs: 50, ...options });
  processes.push(process);
  return process;
}

beforeEach(async () => {
  pg = await freshDatabase();
  processes = [];
});
afterEach(async () => {
  await Promise.all(processes.map((process) => process.stop()));
  await pg.drop();
});

const faults = ({ db, store }: ProjectingProcess, one: AnyProjection) =>
  readModelFaults(db, store, one, SHARDS);

describe('a replay', () => {
  it('applies what waits in its order, tells its followers, and the key goes on by itself', async () => {
    const bad = new Set([666]);
    const { app, Purses } = mendable(bad);
    const one = await start(app);
    const [a = ''] = idsOf(1);
    await append(one.store, 'account', a, [opened(), paid(1), paid(666), paid(2)]);
    await one.caughtUp();
    bad.clear();
    const announced: unknown[] = [];
    const announcer = { announce: (...what: unknown[]) => void announced.push(what) };
    const outcome = await replayParked({ db: one.db, projection: Purses, announcer }, { part: '', key: a });
    expect(outcome).toEqual({ part: '', key: a, events: 2, waiting: 0 });
    expect(announced).toEqual([['purses.v1', 1, 2]]);
    expect(await parked(one)).toEqual([]);
    await append(one.store, 'account', a, [paid(4), { type: 'Closed', data: {} }, opened(), paid(8)]);
    await one.caughtUp();
    expect(await centsOf(one, Purses)).toEqual({ [a]: 8 });
    expect(await faults(one, Purses)).toEqual([]);
    await expect(
      replayParked({ db: one.db, projection: Purses }, { part: '', key: a }),
    ).rejects.toMatchObject({
      code: 'not_parked',
    });
  });

  it('stops where a later event cannot be folded, and says which', async () => {
    const bad = new Set([666, 13]);
    const { app, Purses } = mendable(bad);
    const one = await start(app);
    const [a = ''] = idsOf(1);
    await append(one.store, 'account', a, [opened(), paid(666), paid(2), paid(13), paid(4)]);
    await one.caughtUp();
    bad.delete(666);
    const name = { part: '', key: a };
    expect(await replayParked({ db: one.db, projection: Purses }, name)).toMatchObject({
      events: 2,
      waiting: 2,
      fault: { seq: 4, error: 'cannot take 13', kind: 'poison', streamId: a },
    });
    expect(await centsOf(one, Purses)).toEqual({ [a]: 668 });
    expect(await parked(one)).toEqual([['purses', a, 4, 2]]);
    expect(await replayParked({ db: one.db, projection: Purses }, name)).toMatchObject({
      events: 0,
      waiting: 2,
    });
    bad.clear();
    await replayParked({ db: one.db, projection: Purses }, name);
    expect(await faults(one, Purses)).toEqual([]);
  });

  it('goes through long queues page by page', async () => {
    const bad = new Set([666]);
    const { app, Purses } = mendable(bad);
    const one = await start(app);
    const [a = ''] = idsOf(1);
    await append(one.store, 'account', a, [opened(), paid(666)]);
    const many = Array.from({ length: 300 }, (_, n) => paid(n));
    for (let n = 0; n < 4; n++) await append(one.store, 'account', a, many);
    await one.caughtUp();
    bad.clear();
    const outcome = await replayParked({ db: one.db, projection: Purses }, { part: '', key: a });
    expect(outcome).toMatchObject({ events: 1_201, waiting: 0 });
    expect(await faults(one, Purses)).toEqual([]);
    // A change for each page.
    const { rows } = await readSnapshot(one.db, Purses, {}, 10);
    expect(rows.map(([, rev]) => rev)).toEqual([4]);
  });

  it('writes nothing into a version that is paused', async () => {
    const bad = new Set([666]);
    const { app, Purses } = mendable(bad);
    const one = await start(app);
    await append(one.store, 'account', 'a-1', [opened(), paid(666)]);
    await one.caughtUp();
    bad.clear();
    await move(one.db, Purses, 'pause');
    await expect(
      replayParked({ db: one.db, projection: Purses }, { part: '', key: 'a-1' }),
    ).rejects.toMatchObject({ code: 'wrong_state', message: expect.stringContaining('paused') });
    expect(await centsOf(one, Purses)).toEqual({ 'a-1': 0 });
  });

  it('of another definition than the one that the table was made for is refused', async () => {
    const { app } = mendable(new Set([666]));
    const one = await start(app);
    await append(one.store, 'account', 'a-1', [opened(), paid(666)]);
    await one.caughtUp();
    const other = projection('purses', {
      version: 1,
      row: z.object({ id: z.string(), cents: z.int() }),
      key: 'id',
    }).on(Account, { fold: { Opened: () => ({ cents: 0 }) } });
    await expect(
      replayParked({ db: one.db, projection: other }, { part: '', key: 'a-1' }),
    ).rejects.toMatchObject({ code: 'wrong_state' });
  });
});

describe('skipping', () => {
  it('leaves the event at fault out, records why, and folds the rest', async () => {
    const { app, Purses } = mendable(new Set([666]));
    const one = await start(app);
    const [a = ''] = idsOf(1);
    await append(one.store, 'account', a, [opened(), paid(1), paid(666), paid(2)]);
    await one.caughtUp();
    const outcome = await skipParked(
      { db: one.db, projection: Purses },
      { part: '', key: a },
      'a typo of ann',
    );
    expect(outcome).toEqual({ part: '', key: a, events: 1, waiting: 0 });
    await append(one.store, 'account', a, [paid(4)]);
    await one.caughtUp();
    expect(await centsOf(one, Purses)).toEqual({ [a]: 7 });
    expect(await parked(one)).toEqual([]);
    expect(
      await one.db.query('SELECT key, seq, skipped_why, skipped_at IS NOT NULL FROM tidemark.parked_events'),
    ).toEqual([[a, 3, 'a typo of ann', true]]);
  });

  it('keeps of what an operator says what Postgres can hold', async () => {
    const { app, Purses } = mendable(new Set([666]));
    const one = await start(app);
    const [a = ''] = idsOf(1);
    await append(one.store, 'account', a, [opened(), paid(666), paid(2)]);
    await one.caughtUp();
    const what = { db: one.db, projection: Purses };
    expect(await skipParked(what, { part: '', key: a }, 'a\u0000typo\ud800')).toMatchObject({ waiting: 0 });
    expect(await one.db.query('SELECT skipped_why FROM tidemark.parked_events')).toEqual([
      ['a\ufffdtypo\ufffd'],
    ]);
  });

  it('of the only event that waits leaves the row as it is; of one of several, the next one is at fault', async () => {
    const { app, Purses } = mendable(new Set([666, 13]));
    const one = await start(app);
    const [a = '', b = ''] = idsOf(1);
    await append(one.store, 'account', a, [opened(), paid(1), paid(666)]);
    await append(one.store, 'account', b, [opened(), paid(666), paid(13), paid(1)]);
    await one.caughtUp();
    const skip = (key: string) => skipParked({ db: one.db, projection: Purses }, { part: '', key }, 'why');
    expect(await skip(a)).toMatchObject({ events: 0, waiting: 0 });
    expect(await skip(b)).toMatchObject({ events: 0, waiting: 2, fault: { seq: 6 } });
    expect(await parked(one)).toEqual([['purses', b, 6, 2]]);
    expect(await skip(b)).toMatchObject({ events: 1, waiting: 0 });
    expect(await centsOf(one, Purses)).toEqual({ [a]: 1, [b]: 1 });
  });
});

describe('parked keys', () => {
  it('outlive the processes that parked them', async () => {
    const bad = new Set([666]);
    const { app, Purses, Folk } = mendable(bad);
    const one = await start(app);
    const [a = ''] = idsOf(1);
    await append(one.store, 'account', a, [opened(), paid(666)]);
    await append(one.store, 'account', 'm-1', [moved(666, 'eve', 'ann')]);
    await one.caughtUp();
    await one.stop();
    const two = await start(app);
    const three = await start(app);
    await append(two.store, 'account', a, [paid(1), paid(2)]);
    await append(two.store, 'account', 'm-2', [moved(1, 'eve', 'ann')]);
    await two.caughtUp();
    expect((await parked(two)).map(([, key, , queued]) => [key, queued])).toEqual([
      ['eve', 2],
      [a, 3],
    ]);
    bad.clear();
    for (const definition of [Purses, Folk])
      for await (const outcome of replayAllParked({ db: three.db, projection: definition }))
        expect(outcome.waiting).toBe(0);
    await append(two.store, 'account', a, [paid(3)]);
    await append(two.store, 'account', 'm-2', [moved(2, 'eve', 'ann')]);
    await two.caughtUp();
    expect(await faults(two, Purses)).toEqual([]);
    expect(await faults(two, Folk)).toEqual([]);
  });
});
