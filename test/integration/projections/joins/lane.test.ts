/** One lane over rows made of parts: parts that are in very many rows, crashes on the way, parked parts and parked rows. */
import { aggregate, defineApp, projection } from 'tidemark';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { MemoryModel } from '../../../../src/domain/memory-model.js';
import { rowToJson } from '../../../../src/projections/columns.js';
import { readSnapshot } from '../../../../src/projections/snapshot.js';
import { foldingLane, Recorder, type FoldingLane, type Happened } from '../../../support/folding-lane.js';
import { freshDatabase, type FreshDatabase } from '../../../support/postgres.js';

const Person = aggregate('person', {
  state: z.object({}),
  initial: {},
  events: { Named: z.object({ name: z.string() }) },
  commands: {},
})
  .evolve({ Named: () => ({}) })
  .decide({});
const Task = aggregate('task', {
  state: z.object({}),
  initial: {},
  events: { Given: z.object({ to: z.string() }), Done: z.object({ times: z.int() }) },
  commands: {},
})
  .evolve({ Given: () => ({}), Done: () => ({}) })
  .decide({});

const Tasks = projection('tasks', {
  version: 1,
  row: z.object({ id: z.string(), who: z.string(), times: z.int(), name: z.string(), named: z.int() }),
  key: 'id',
  channels: ['name'],
  parking: { attempts: 1 },
})
  .join(Person, {
    by: 'who',
    none: { name: '', named: 0 },
    fold: {
      Named: (part, { data }) => {
        if (data.name === 'poison') throw new Error('no such name');
        return { name: data.name, named: part.named + 1 };
      },
    },
  })
  .on(Task, {
    fold: {
      Given: (row, { data }) => ({ who: data.to, times: row?.times ?? 0 }),
      Done: (row, { data }) => {
        if (data.times < 0) throw new Error('less than nothing');
        return row && { ...row, times: row.times + data.times };
      },
    },
  });
const app = defineApp({
  auth: 'none',
  name: 'tasks',
  aggregates: [Person, Task],
  projections: [Tasks],
  shards: 4,
});

const named = (streamId: string, name: string): Happened => ({
  category: 'person',
  streamId,
  type: 'Named',
  data: { name },
});
const given = (streamId: string, to: string): Happened => ({
  category: 'task',
  streamId,
  type: 'Given',
  data: { to },
});
const done = (streamId: string, times: number): Happened => ({
  category: 'task',
  streamId,
  type: 'Done',
  data: { times },
});

let pg: FreshDatabase;
let one: FoldingLane;
let record: Recorder['record'];
let recorder: Recorder;

beforeEach(async () => {
  pg = await freshDatabase();
  one = await foldingLane(pg.url, app, Tasks);
  recorder = new Recorder();
  record = recorder.record.bind(recorder);
});
afterEach(async () => {
  await one.stop();
  await pg.drop();
});

async function rows(): Promise<Map<string, string>> {
  const { rows: found } = await readSnapshot(one.db, Tasks, {}, 100_000);
  return new Map(found.map(([key, , row]) => [key, row]));
}
const nameOf = async (key: string): Promise<unknown> => JSON.parse((await rows()).get(key) ?? '{}');

/** What a fold of all events that were recorded makes. */
function expected(): Map<string, string> {
  const model = new MemoryModel(Tasks);
  for (const event of recorder.events) model.apply(event);
  return new Map([...model.rows()].map(([key, row]) => [key, rowToJson(Tasks, row)]));
}
async function count(text: string): Promise<number> {
  const [row] = await one.db.query<[number]>(`SELECT count(*)::int FROM ${one.db.table('changes')} ${text}`);
  return row?.[0] ?? -1;
}
const parked = (): Promise<[string, string, number][]> =>
  one.db.query(`SELECT part, key, queued FROM ${one.db.table('parked')} ORDER BY part, key`);

describe('a part in more rows than one transaction writes', () => {
  const MANY = 10_500;

  async function begin(): Promise<void> {
    const lane = one.lane();
    await one.fold(lane, record(named('p', 'Ada'), named('q', 'Bob')));
    for (let at = 0; at < MANY; at += 3_500) {
      const some = Array.from({ length: 3_500 }, (_, n) =>
        given(`t-${String(at + n).padStart(6, '0')}`, 'p'),
      );
      expect(await one.fold(lane, record(...some))).toBeUndefined();
    }
    await one.fold(lane, record(given('u', 'q')));
  }

  test('reaches all of them, each once; the last transaction moves the checkpoint', async () => {
    await begin();
    const before = await count('');
    const written: { changes: number; events: number }[] = [];
    const lane = one.lane(({ changes, events }) => written.push({ changes, events }));
    // Among others, which it is parted from.
    expect(
      await one.fold(lane, record(named('q', 'Bo'), named('p', 'Ada L.'), named('q', 'Bob'))),
    ).toBeUndefined();
    expect(await rows()).toEqual(expected());
    expect((await count('')) - before).toBe(MANY + 2);
    expect(written.reduce((sum, { events }) => sum + events, 0)).toBe(3);
    expect(written.filter(({ events }) => events === 0).map(({ changes }) => changes)).toEqual([10_000, 500]);
  });

  test('nor does any of its rows change for a part that Postgres does not have', async () => {
    await begin();
    const before = await count('');
    const ghosts = record(named('p', 'Ada G.'));
    await expect(one.fold(one.lane(), ghosts, { ghosts: true })).rejects.toMatchObject({ kind: 'ghost' });
    expect((await count('')) - before).toBe(0);
  });

  test('whoever is stopped on the way goes on where it was, and changes nothing twice', async () => {
    await begin();
    const before = await count('');
    const dying = one.lane(() => {
      throw new Error('stopped');
    });
    const [event] = record(named('p', 'Ada L.'));
    await expect(one.fold(dying, event ? [event] : [])).rejects.toThrow('stopped');
    expect((await count('')) - before).toBe(10_000);
    // What comes in between is made of the part as it is now, not as it was.
    const next = one.lane();
    await one.fold(next, record(done('t-000000', 1), done('t-010499', 1), given('v', 'p')));
    expect(await one.fold(one.lane(), event ? [event] : [])).toBeUndefined();
    expect(await rows()).toEqual(expected());
    // 10,000 by the first, 3 by the tasks, the rest by the second; one of the tasks had its new name already.
    expect((await count('')) - before).toBe(10_000 + 3 + (MANY - 10_000 - 1));
    expect(await nameOf('t-000000')).toMatchObject({ name: 'Ada L.', named: 2, times: 1 });
  });
});

describe('parking', () => {
  test('of a part: rows keep its last good columns, its later events wait, and all else goes on', async () => {
    const lane = one.lane();
    await one.fold(lane, record(named('p', 'Ada'), named('q', 'Bob')));
    await one.fold(lane, record(given('a', 'p'), given('b', 'q')));
    const stop = await one.fold(lane, record(named('p', 'poison'), named('q', 'Bo'), named('p', 'Ada L.')));
    expect(stop).toBeUndefined();
    expect(await nameOf('a')).toMatchObject({ name: 'Ada', named: 1 });
    expect(await nameOf('b')).toMatchObject({ name: 'Bo', named: 2 });
    expect(await parked()).toEqual([['person', 'p', 2]]);
    // Also for who did not park it: a new row, an old one, and one more event of the part.
    const other = one.lane();
    await one.fold(other, record(given('c', 'p'), done('a', 3), given('b', 'p')));
    await one.fold(other, record(named('p', 'Eve')));
    for (const key of ['a', 'b', 'c']) expect(await nameOf(key)).toMatchObject({ name: 'Ada', named: 1 });
    expect(await nameOf('a')).toMatchObject({ times: 3 });
    expect(await parked()).toEqual([['person', 'p', 3]]);
  });

  test('of a part’s very first event: rows have what there is without it', async () => {
    const lane = one.lane();
    await one.fold(lane, record(named('p', 'poison')));
    await one.fold(lane, record(given('a', 'p')));
    expect(await nameOf('a')).toMatchObject({ name: '', named: 0 });
    expect(await parked()).toEqual([['person', 'p', 1]]);
  });

  test('of a row: it stands still whatever its parts do, and the other rows of the part go on', async () => {
    const lane = one.lane();
    await one.fold(lane, record(named('p', 'Ada')));
    await one.fold(lane, record(given('a', 'p'), given('b', 'p'), done('a', -1)));
    expect(await parked()).toEqual([['', 'a', 1]]);
    for (const next of [lane, one.lane()]) {
      expect(await one.fold(next, record(named('p', `Ada ${next === lane}`)))).toBeUndefined();
    }
    expect(await nameOf('a')).toMatchObject({ name: 'Ada', named: 1 });
    expect(await nameOf('b')).toMatchObject({ name: 'Ada false', named: 3 });
  });

  test('whoever takes keys out writes what a lane may have read before: its batch is refused, and made again', async () => {
    const lane = one.lane();
    await one.fold(lane, record(named('p', 'Ada')));
    await one.fold(lane, record(given('a', 'p'), done('a', -1)));
    // An operator skips the event, which leaves its row as it is: all that changes is what is parked.
    await one.db.query(`DELETE FROM ${one.db.table('parked')}`);
    await one.db.query(`DELETE FROM ${one.db.table('parked_events')}`);
    const more = record(named('p', 'Ada L.'));
    await expect(one.fold(lane, more)).rejects.toMatchObject({ kind: 'parked' });
    expect(await one.fold(lane, more)).toBeUndefined();
    expect(await nameOf('a')).toMatchObject({ name: 'Ada L.' });
  });

  test('a part that is not as the lane knew it is refused, and read again', async () => {
    const [lane, other] = [one.lane(), one.lane()];
    await one.fold(lane, record(named('p', 'Ada')));
    await one.fold(lane, record(given('a', 'p')));
    await one.fold(other, record(named('p', 'Ada L.')));
    const more = record(named('p', 'Eve'));
    await expect(one.fold(lane, more)).rejects.toMatchObject({ kind: 'row' });
    expect(await one.fold(lane, more)).toBeUndefined();
    expect(await rows()).toEqual(expected());
  });
});
