/** Builds over events that cannot be folded: keys are parked as live workers park them, and what cannot be parked stops the build. */
import { projection } from 'tidemark';
import { beforeEach, describe, expect, test } from 'vitest';
import { z } from 'zod';
import type { AnyApp } from '../../../../src/domain/app.js';
import type { AnyProjection } from '../../../../src/domain/projection.js';
import { ensureReadModel } from '../../../../src/projections/read-model.js';
import { move } from '../../../../src/projections/states.js';
import { Account, Accounts, bank, idsOf, Owners } from '../../../support/bank.js';
import { build } from '../../../support/building.js';
import { freshDatabase, type FreshDatabase } from '../../../support/postgres.js';
import { append, startProjecting, type ProjectingProcess } from '../../../support/projecting.js';

let pg: FreshDatabase;
let on: ProjectingProcess;

const appOf = (...views: AnyProjection[]): typeof bank =>
  ({ ...bank, projections: views, views }) satisfies AnyApp as unknown as typeof bank;

beforeEach(async () => {
  pg = await freshDatabase();
  on = await startProjecting(pg.url, appOf(), { idle: true });
  return async () => {
    await on.stop();
    await pg.drop();
  };
});

const add = (id: string, ...events: Parameters<typeof append>[3][number][]): Promise<void> =>
  append(on.store, 'account', id, events);
const opened = (owner = 'o') => ({ type: 'Opened', data: { owner }, tags: { owner } });
const paid = (cents: number, owner = 'o') => ({ type: 'Paid', data: { cents }, tags: { owner } });
const moved = (to: readonly string[], cents: number) => ({
  type: 'Moved',
  data: { to, cents },
  tags: { owner: 'o' },
});

async function make(view: AnyProjection): Promise<void> {
  await ensureReadModel(on.db, appOf(view), { rebuildFrom: 0 });
}
const stateOf = async ({ name }: AnyProjection): Promise<unknown> =>
  (await on.db.query('SELECT state, loaded FROM tidemark.projections WHERE name = $1', [name]))[0];
const parked = () =>
  on.db.query<[string, string, number, number]>(
    `SELECT k.key, k.type, k.attempts, k.queued FROM tidemark.parked k ORDER BY k.key`,
  );
const queue = () =>
  on.db.query<[string, number, number]>(
    `SELECT q.key, q.shard, q.seq FROM tidemark.parked_events q ORDER BY q.n`,
  );
const stops = () =>
  on.db.query<[string, string]>(`SELECT kind, reason FROM tidemark.projection_stops ORDER BY shard`);

describe('a row of one stream', () => {
  test('whose fold throws is parked where it was, and its later events wait', async () => {
    await add('good', opened(), paid(5));
    await add('bad', opened(), paid(7), paid(666), { type: 'Ignored', data: {} }, paid(8), paid(9));
    await make(Accounts);
    expect(await build(pg.url, Accounts)).toMatchObject({ kind: 'loaded' });
    const rows = await on.db.query('SELECT id, cents FROM tidemark.accounts__v1 ORDER BY 1');
    expect(rows).toEqual([
      ['bad', 7],
      ['good', 5],
    ]);
    expect(await parked()).toEqual([['bad', 'Paid', 3, 3]]);
    expect((await queue()).map(([key]) => key)).toEqual(['bad', 'bad', 'bad']);
    expect(await stateOf(Accounts)).toEqual(['catching_up', true]);
  });

  test('that throws at times only is not parked', async () => {
    let calls = 0;
    const flaky = projection('accounts', {
      version: 1,
      row: z.object({ id: z.string(), cents: z.int() }),
      key: 'id',
    }).on(Account, {
      fold: {
        Paid: (row, { data }) => {
          if (calls++ === 1) throw new Error('not now');
          return { cents: (row?.cents ?? 0) + data.cents };
        },
      },
    });
    await add('a', opened(), paid(1), paid(2), paid(4));
    await make(flaky);
    expect(await build(pg.url, flaky)).toMatchObject({ kind: 'loaded' });
    expect(await on.db.query('SELECT id, cents FROM tidemark.accounts__v1')).toEqual([['a', 7]]);
    expect(await parked()).toEqual([]);
  });

  test('that Postgres could not hold is parked before the event that makes it so', async () => {
    await add('a', opened('fine'), { type: 'Noted', data: { text: 'a\ud800' } }, paid(1));
    await add('b', opened('fine'), { type: 'Noted', data: { text: 'x'.repeat(2_600) } });
    await add('c', opened('fine'), { type: 'Noted', data: { text: 'x'.repeat(2_400) } });
    await make(Accounts);
    expect(await build(pg.url, Accounts)).toMatchObject({ kind: 'loaded' });
    const rows = await on.db.query('SELECT id, length(owner) FROM tidemark.accounts__v1 ORDER BY 1');
    expect(rows).toEqual([
      ['a', 4],
      ['b', 4],
      ['c', 2_400],
    ]);
    expect(await parked()).toEqual([
      ['a', 'Noted', 3, 2],
      ['b', 'Noted', 3, 1],
    ]);
  });

  test('more of them than may be parked halt the build; it goes on when it is told to', async () => {
    const view = (maxKeys: number): AnyProjection => ({
      ...Accounts,
      parking: { attempts: 1, maxKeys, maxEvents: 10 },
    });
    const ids = idsOf(0);
    for (let n = 0; n < 3; n++) await add(ids.next().value ?? '', opened(), paid(666));
    await make(view(2));
    const outcome = await build(pg.url, view(2));
    expect(outcome).toMatchObject({
      kind: 'stopped',
      reason: expect.stringMatching(/2 keys are parked, which is the most; the next would be: the devil/),
    });
    expect(await stateOf(Accounts)).toEqual(['halted', false]);
    expect(await stops()).toEqual([['halted', expect.stringMatching(/^account\.Paid /)]]);
    expect(await build(pg.url, view(3))).toMatchObject({ kind: 'loaded' });
    expect(await stops()).toEqual([]);
    expect(await parked()).toHaveLength(3);
  });

  test('an event that is newer than the code stops its shard only; newer code goes on', async () => {
    const [first = ''] = idsOf(0);
    const [second = ''] = idsOf(1);
    await add(first, opened(), { ...paid(1), schemaVersion: 2 });
    await add(second, opened(), paid(2));
    await make(Accounts);
    expect(await build(pg.url, Accounts)).toMatchObject({ kind: 'stopped' });
    expect(await stateOf(Accounts)).toEqual(['needs_newer_code', false]);
    expect(await stops()).toEqual([['needs_newer_code', expect.stringMatching(/is newer than this code/)]]);
    expect(await on.db.query('SELECT id FROM tidemark.accounts__v1')).toEqual([[second]]);
    await on.db.query(`UPDATE tidemark.events SET schema_version = 1`);
    expect(await build(pg.url, Accounts)).toMatchObject({ kind: 'loaded' });
    expect(await on.db.query('SELECT count(*)::int FROM tidemark.accounts__v1')).toEqual([[2]]);
    expect(await stops()).toEqual([]);
  });

  test('where nothing may be parked, the build halts', async () => {
    const view: AnyProjection = { ...Accounts, parking: false };
    await add('a', opened(), paid(666));
    await make(view);
    expect(await build(pg.url, view)).toMatchObject({
      kind: 'stopped',
      reason: expect.stringMatching(/the devil is in the fold/),
    });
    expect(await stateOf(view)).toEqual(['halted', false]);
  });
});

test.each([Accounts, Owners])(
  '$name: what Postgres refuses for reasons of its own halts the build, and says why',
  async (view) => {
    await add('a', opened(), paid(5));
    await make(view);
    // As somebody may put on a table whose rows are built again.
    await on.db.query(`ALTER TABLE tidemark.${view.name}__v1 ADD CONSTRAINT thrift CHECK (cents < 3)`);
    expect(await build(pg.url, view)).toEqual({ kind: 'stopped', reason: expect.stringMatching(/thrift/) });
    expect(await stateOf(view)).toEqual(['halted', false]);
    await on.db.query(`ALTER TABLE tidemark.${view.name}__v1 DROP CONSTRAINT thrift`);
    expect(await build(pg.url, view)).toMatchObject({ kind: 'loaded' });
    expect(await on.db.query(`SELECT cents FROM tidemark.${view.name}__v1`)).toEqual([[5]]);
  },
);

test.each([Accounts, Owners])('$name: what is thrown is told, whatever stands in it', async (view) => {
  const foul = () => {
    throw new Error(`cannot read \u0000\ud800 ${'x'.repeat(100_000)}`);
  };
  const sources = view.sources.map((source) => ({ ...source, fold: { ...source.fold, Paid: foul } }));
  const fragile: AnyProjection = { ...view, sources, parking: false };
  await add('a', opened(), paid(1));
  await make(fragile);
  expect(await build(pg.url, fragile)).toMatchObject({ kind: 'stopped' });
  expect(await stateOf(fragile)).toEqual(['halted', false]);
  const [[kind, reason] = []] = await stops();
  expect([kind, reason?.length]).toEqual(['halted', expect.any(Number)]);
  expect(reason).toMatch(/: cannot read \ufffd\ufffd x+$/u);
  expect(reason?.length).toBeLessThan(2_000);
});

describe('a row of many streams', () => {
  test('is parked by itself: the other rows of the event have it, and later events wait', async () => {
    await add('a', paid(5, 'x'), moved(['x', 'y'], 666), moved(['y'], 3), moved(['x'], 4));
    await make(Owners);
    // A flush after each slice, so that keys parked before are met again.
    expect(await build(pg.url, Owners, { flushMs: 0 })).toMatchObject({ kind: 'loaded' });
    const rows = await on.db.query('SELECT owner, cents FROM tidemark.owners__v1 ORDER BY 1');
    expect(rows).toEqual([
      ['x', 5],
      ['y', 669],
    ]);
    expect(await parked()).toEqual([['x', 'Moved', 3, 2]]);
  });

  test('a key that was parked before a flush takes later events in their order', async () => {
    await add('a', paid(5, 'x'), moved(['x'], 666));
    const later = Array.from({ length: 1_500 }, (_, n) =>
      add(`n-${n}`, paid(1, n % 500 === 0 ? 'x' : `o-${n % 7}`)),
    );
    await Promise.all(later);
    await make(Owners);
    expect(await build(pg.url, Owners, { flushMs: 0 })).toMatchObject({ kind: 'loaded' });
    expect(await parked()).toEqual([['x', 'Moved', 3, 4]]);
    expect(await on.db.query(`SELECT sum(cents)::int FROM tidemark.owners__v1`)).toEqual([[5 + 1_497]]);
  });

  test('an event whose keys cannot be told halts the build; all before it is in', async () => {
    await add('a', paid(5, 'x'));
    await add('b', { ...paid(5), tags: {} });
    await make(Owners);
    expect(await build(pg.url, Owners)).toMatchObject({ kind: 'stopped' });
    expect(await stateOf(Owners)).toEqual(['halted', false]);
    expect(await on.db.query('SELECT owner FROM tidemark.owners__v1')).toEqual([['x']]);
    // It can be retired or rebuilt from here, and is not tried by itself.
    expect(await move(on.db, Owners, 'build')).toBe('building');
    expect(await build(pg.url, Owners)).toMatchObject({ kind: 'stopped' });
  });

  test('one that Postgres could not hold is parked before the event that makes it so', async () => {
    const notes = projection('notes', {
      version: 1,
      row: z.object({ owner: z.string(), text: z.string() }),
      key: 'owner',
    }).on(Account, {
      keys: ({ tags }) => tags.owner,
      fold: { Noted: (_row, { data }) => ({ text: data.text }) },
    });
    const note = (text: string, owner: string) => ({ type: 'Noted', data: { text }, tags: { owner } });
    await add('a', note('one', 'x'), note('two\ud800', 'x'), note('one', 'y'));
    await make(notes);
    expect(await build(pg.url, notes)).toMatchObject({ kind: 'loaded' });
    const rows = await on.db.query('SELECT owner, text FROM tidemark.notes__v1 ORDER BY 1');
    expect(rows).toEqual([
      ['x', 'one'],
      ['y', 'one'],
    ]);
    expect(await parked()).toEqual([['x', 'Noted', 3, 1]]);
  });
});
