/** Projections that a handler writes, on a real Postgres: tables, exactly once, what cannot be taken, versions. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { aggregate, defineApp, event, tables } from 'tidemark';
import { ensureReadModel } from '../../../../src/projections/read-model.js';
import { pruneProjections } from '../../../../src/projections/versions/prune.js';
import { swapView } from '../../../../src/projections/versions/swap-view.js';
import { rebuildTables } from '../../../../src/projections/tables/rebuild.js';
import { Account, idsOf, SHARDS } from '../../../support/bank.js';
import { freshDatabase, type FreshDatabase } from '../../../support/postgres.js';
import { append, startProjecting, type ProjectingProcess } from '../../../support/projecting.js';
import { DEVIL, Takings, takings, takingsFaults, till, tillWith } from '../../../support/takings.js';

let pg: FreshDatabase;
const started: ProjectingProcess[] = [];

const start = async (
  ...[app, options]: [Parameters<typeof startProjecting>[1]?, Parameters<typeof startProjecting>[2]?]
) => {
  const process = await startProjecting(pg.url, app ?? till, options);
  started.push(process);
  return process;
};

beforeEach(async () => {
  pg = await freshDatabase();
});
afterEach(async () => {
  await Promise.all(started.splice(0).map((process) => process.stop()));
  await pg.drop();
});

const paid = (cents: number, owner = 'ann') => ({ type: 'Paid', data: { cents }, tags: { owner } });

it('writes its tables: real columns, keys, indexes, and views for people', async () => {
  const one = await start();
  await append(one.store, 'account', 'a-1', [paid(5), paid(7, 'bea'), { type: 'Ignored', data: {} }]);
  await append(one.store, 'account', 'a-2', [{ ...paid(1), data: { cents: 1, note: 'tip' } }]);
  await one.caughtUp();
  const { db } = one;
  expect(await db.query(`SELECT owner, cents, payments FROM ${db.table('takings')} ORDER BY 1`)).toEqual([
    ['ann', 6, 2],
    ['bea', 7, 1],
  ]);
  expect(await db.query(`SELECT * FROM ${db.table('payments')} ORDER BY 1, 2`)).toEqual([
    ['a-1', 1, 5, null, '{"tags":["ann"]}'],
    ['a-1', 2, 7, null, '{"tags":["bea"]}'],
    ['a-2', 1, 1, 'tip', '{"tags":["ann"]}'],
  ]);
  const kinds = await db.query<[string, string, string]>(
    `SELECT c.column_name, c.data_type, c.is_nullable FROM information_schema.columns c
     WHERE c.table_schema = 'tidemark' AND c.table_name = 'payments__v1' ORDER BY c.ordinal_position`,
  );
  expect(kinds).toEqual([
    ['account', 'text', 'NO'],
    ['version', 'bigint', 'NO'],
    ['cents', 'bigint', 'NO'],
    ['note', 'text', 'YES'],
    ['detail', 'json', 'YES'],
  ]);
  const indexes = await db.query<[string]>(
    `SELECT indexdef FROM pg_indexes WHERE schemaname = 'tidemark' AND tablename = 'payments__v1' ORDER BY indexname`,
  );
  expect(indexes.map(([text]) => text.replace(/^.*USING /, ''))).toEqual([
    'btree (cents)',
    'btree (note, cents)',
    'btree (account, version)',
  ]);
  expect(await takingsFaults(db)).toEqual([]);
  expect(one.statuses()).toMatchObject([{ name: 'takings', version: 1 }]);
});

it('counts every event once, with two processes and a handler for many at a time', async () => {
  const [one, two] = [await start(), await start()];
  const streams = Array.from({ length: 30 }, (_, n) => `a-${n}`);
  await Promise.all(
    streams.map(async (id, n) => {
      for (let round = 0; round < 4; round++) {
        await append(n % 2 ? one.store : two.store, 'account', id, [paid(n + 1), paid(1, `o-${n % 3}`)]);
      }
    }),
  );
  await one.caughtUp();
  expect(await takingsFaults(one.db)).toEqual([]);
  const [row] = await one.db.query<[number]>(`SELECT sum(payments)::int FROM ${one.db.table('takings')}`);
  expect(row?.[0]).toBe(240);
});

it('gets the events of several aggregates, each with whose it is, upcast, in the order of their streams', async () => {
  const Refund = aggregate('refund', {
    state: z.object({}),
    initial: {},
    events: {
      Paid: event(z.object({ cents: z.int(), to: z.string() }), {
        upcasters: [(data: { cents: number }) => ({ ...data, to: 'nobody' })],
      }),
    },
    commands: {},
  })
    .evolve({ Paid: (state) => state })
    .decide({});
  const Flow = tables('flow', {
    version: 1,
    tables: {
      flow: {
        columns: z.object({
          n: z.int(),
          of: z.string(),
          stream: z.string(),
          version: z.int(),
          data: z.string(),
        }),
        primaryKey: ['n'],
      },
    },
  })
    .on(Account)
    .on(Refund)
    .handle(async ({ db, events }) => {
      const { last } = await db
        .selectFrom('flow')
        .select(({ fn }) => fn.max('n').as('last'))
        .executeTakeFirstOrThrow();
      const rows = events.map((one, index) => ({
        n: (last ?? 0) + index + 1,
        of: one.aggregate,
        stream: one.streamId,
        version: one.version,
        data: one.aggregate === 'refund' ? one.data.to : JSON.stringify(one.data),
      }));
      await db.insertInto('flow').values(rows).execute();
    });
  const one = await start(
    defineApp({
      auth: 'none',
      name: 'flow',
      aggregates: [Account, Refund],
      projections: [Flow],
      shards: SHARDS,
    }),
  );
  for (let round = 0; round < 3; round++) {
    await append(one.store, 'account', 'a-1', [paid(round)]);
    await append(one.store, 'refund', 'a-1', [{ type: 'Paid', data: { cents: 1 }, schemaVersion: 1 }]);
    await append(one.store, 'refund', 'b-1', [
      { type: 'Paid', data: { cents: 1, to: 'bea' }, schemaVersion: 2 },
    ]);
  }
  await one.caughtUp();
  const flow = await one.db.query(
    `SELECT of, stream, json_agg(version ORDER BY n), json_agg(data ORDER BY n) FROM ${one.db.table('flow')} GROUP BY 1, 2 ORDER BY 1, 2`,
  );
  const texts = flow.map((columns) => columns.map(String));
  expect(texts).toEqual([
    ['account', 'a-1', '[1, 2, 3]', String.raw`["{\"cents\":0}", "{\"cents\":1}", "{\"cents\":2}"]`],
    ['refund', 'a-1', '[1, 2, 3]', '["nobody", "nobody", "nobody"]'],
    ['refund', 'b-1', '[1, 2, 3]', '["bea", "bea", "bea"]'],
  ]);
});

describe('a handler that throws', () => {
  it('loses no other event: the one at fault is found, its shard stands before it, the others go on', async () => {
    const one = await start(till, { idle: true });
    const [bad = '', good = ''] = [idsOf(1).next().value, idsOf(2).next().value];
    await append(one.store, 'account', bad, [
      ...Array.from({ length: 20 }, () => paid(1)),
      paid(DEVIL),
      paid(1),
    ]);
    await append(
      one.store,
      'account',
      good,
      Array.from({ length: 15 }, () => paid(2, 'bea')),
    );
    await one.projections.start();
    await expect.poll(() => one.statuses()[0]?.state).toBe('halted');
    await expect
      .poll(
        async () =>
          await one.db.query(
            `SELECT shard, seq FROM ${one.db.table('checkpoints')} WHERE seq > 0 ORDER BY 1`,
          ),
      )
      .toEqual([
        [1, 20],
        [2, 15],
      ]);
    expect(await takingsFaults(one.db)).toEqual([]);
    expect(one.statuses()[0]?.reason).toMatch(
      /^account\.Paid \(stream ".*" version 21, shard 1 seq 21\): the handler of takings: the devil is in the handler$/,
    );
  });

  it('is tried as often as it says, and again after what says nothing of the events', async () => {
    const calls: number[] = [];
    const Shaky = tables('shaky', {
      version: 1,
      tables: { shaky: { columns: z.object({ id: z.string() }), primaryKey: ['id'] } },
      attempts: 3,
    })
      .on(Account)
      .handle(async ({ db, events }) => {
        calls.push(events.length);
        await db
          .insertInto('shaky')
          .values({ id: `${calls.length}` })
          .execute();
        if (calls.length < 3) throw new Error('not yet');
      });
    const app = defineApp({
      auth: 'none',
      name: 'shaky',
      aggregates: [Account],
      projections: [Shaky],
      shards: SHARDS,
    });
    const one = await start(app);
    await append(one.store, 'account', 'a-1', [paid(1), paid(2)]);
    await one.caughtUp();
    expect(calls).toEqual([2, 2, 2]);
    expect(await one.db.query(`SELECT id FROM ${one.db.table('shaky')}`)).toEqual([['3']]);
  });
});

describe('a version', () => {
  const names = async (one: ProjectingProcess) =>
    (
      await one.db.query<[string, string]>(
        `SELECT relname, relkind FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
         WHERE n.nspname = 'tidemark' AND relname ~ '^(payments|takings)' AND relkind IN ('r', 'v') ORDER BY 1`,
      )
    ).map(([name]) => name);

  const isReady = ({ db }: ProjectingProcess, version: number) =>
    expect
      .poll(() =>
        db.query(`SELECT FROM ${db.table('projections')} WHERE version = $1 AND ready_at IS NOT NULL`, [
          version,
        ]),
      )
      .toHaveLength(1);

  it('is built beside the one before it; the views stay until they are swapped', async () => {
    const one = await start();
    await append(one.store, 'account', 'a-1', [paid(5), paid(6)]);
    await one.caughtUp();
    const next = tillWith(takings(2));
    const two = await start(next);
    await two.caughtUp();
    expect(await names(one)).toEqual([
      'payments',
      'payments__v1',
      'payments__v2',
      'takings',
      'takings__v1',
      'takings__v2',
    ]);
    expect([...(await takingsFaults(one.db, 1)), ...(await takingsFaults(one.db, 2))]).toEqual([]);
    await append(one.store, 'account', 'a-1', [paid(7)]);
    await Promise.all([one.caughtUp(), two.caughtUp()]);
    expect([...(await takingsFaults(one.db, 1)), ...(await takingsFaults(one.db, 2))]).toEqual([]);
    const shown = () => one.db.query(`SELECT pg_get_viewdef('tidemark.payments'::regclass)`);
    expect(String(await shown())).toContain('payments__v1');
    await isReady(two, 2);
    await swapView(one.db, { name: 'takings', version: 2 });
    expect(String(await shown())).toContain('payments__v2');
  });

  it('that has changed stops the start, and says what differs', async () => {
    const one = await start();
    const Other = tables('takings', {
      version: 1,
      tables: {
        payments: { columns: z.object({ account: z.string(), cents: z.number() }), primaryKey: ['account'] },
        extra: { columns: z.object({ id: z.string() }), primaryKey: ['id'] },
      },
    })
      .on(Account)
      .handle(async () => undefined);
    const changed = ensureReadModel(one.db, tillWith(Other));
    await expect(changed).rejects.toMatchObject({ code: 'projection_changed' });
    await expect(changed).rejects.toThrow(
      /tables\.extra: added[^]*tables\.payments\.primaryKey: \["account","version"\] → \["account"\]/,
    );
    // An index is not part of it, and is made while the tables are in use.
    const [takings_, payments] = [Takings.tables[1], Takings.tables[0]];
    if (!takings_ || !payments) throw new Error('it has two tables');
    const indexed = { ...Takings, tables: [payments, { ...takings_, indexes: [['cents']] }] };
    await ensureReadModel(one.db, tillWith(indexed));
    const made = await one.db.query(
      `SELECT indexname FROM pg_indexes WHERE indexname = '_ix_takings__v1__cents'`,
    );
    expect(made).toHaveLength(1);
  });

  it.each(['payments__v1', 'payments'])('is not made over what is not its own (%s)', async (name) => {
    const one = await start(tillWith());
    await one.db.query(`CREATE TABLE ${one.db.table(name)} (id int)`);
    const made = ensureReadModel(one.db, till);
    await expect(made).rejects.toMatchObject({ code: 'projection_name_taken' });
    await expect(made).rejects.toThrow(`something named "${name}"`);
  });

  it('that was retired comes back with nothing of its life before', async () => {
    const one = await start(till);
    await append(one.store, 'account', 'a-1', [paid(5)]);
    await one.caughtUp();
    await one.stop();
    const two = await start(tillWith(takings(2)));
    await two.caughtUp();
    await isReady(two, 2);
    await swapView(two.db, { name: 'takings', version: 2 });
    const { dropped } = await pruneProjections(two.db, {
      keep: [{ name: 'takings', version: 2 }],
      graceMs: 0,
    });
    expect(dropped).toEqual([{ name: 'takings', version: 1 }]);
    expect(await names(two)).toEqual(['payments', 'payments__v2', 'takings', 'takings__v2']);
    const three = await start(till);
    await three.caughtUp();
    expect(await takingsFaults(three.db)).toEqual([]);
    const [row] = await three.db.query(`SELECT sum(cents)::int FROM ${three.db.table('takings__v1')}`);
    expect(row).toEqual([5]);
  });

  it('waits for newer code with the shard that needs it; the others go on', async () => {
    const one = await start(till, { idle: true });
    const [old = '', good = ''] = [idsOf(1).next().value, idsOf(2).next().value];
    await append(one.store, 'account', old, [
      paid(1),
      { type: 'Paid', schemaVersion: 9, data: { euros: 1 } },
    ]);
    await append(one.store, 'account', good, [paid(2)]);
    await one.projections.start();
    await expect.poll(() => one.statuses()[0]?.state).toBe('needs_newer_code');
    await expect
      .poll(async () => (await one.db.query(`SELECT sum(payments)::int FROM ${one.db.table('takings')}`))[0])
      .toEqual([2]);
    expect(await takingsFaults(one.db)).toEqual([]);
  });
});

describe('a rebuild', () => {
  it('empties the tables and follows all events again, while more come; a worker of before cannot write', async () => {
    const [one, two] = [await start(), await start()];
    for (let n = 0; n < 12; n++) await append(one.store, 'account', `a-${n}`, [paid(n), paid(1)]);
    await one.caughtUp();
    const more = (async () => {
      for (let n = 0; n < 20; n++) await append(two.store, 'account', `b-${n}`, [paid(n)]);
    })();
    expect(await rebuildTables(one.db, Takings)).toBe(true);
    await more;
    await one.caughtUp();
    expect(await takingsFaults(one.db)).toEqual([]);
    const [row] = await one.db.query(`SELECT count(*)::int FROM ${one.db.table('payments')}`);
    expect(row).toEqual([44]);
  });

  it('of an idle projection is found without a new event, and may not be read until it is done', async () => {
    const one = await start(till, { idle: true });
    await append(one.store, 'account', 'a-1', [paid(1), paid(2)]);
    await one.projections.start();
    await one.caughtUp();
    const ready = () =>
      one.db.query(`SELECT ready_at IS NOT NULL, epoch FROM ${one.db.table('projections')}`);
    const [before] = await ready();
    await rebuildTables(one.db, Takings);
    expect((await ready())[0]?.[1]).not.toBe(before?.[1]);
    await one.caughtUp();
    expect(await takingsFaults(one.db)).toEqual([]);
  });

  it('is refused where there is no such version', async () => {
    const one = await start();
    expect(await rebuildTables(one.db, takings(7))).toBe(false);
  });
});
