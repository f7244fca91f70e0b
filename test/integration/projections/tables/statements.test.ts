/** What a handler can do with its database, and what is refused before it is sent. */
import { sql, type Kysely } from 'kysely';
import { defineApp, tables } from 'tidemark';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { silentLogger } from '../../../../src/platform/logger.js';
import { Database } from '../../../../src/platform/postgres/database.js';
import { HandlerFailed, runHandler } from '../../../../src/projections/tables/handler-transaction.js';
import { WriteTables } from '../../../../src/projections/tables/write-tables.js';
import { Account, SHARDS } from '../../../support/bank.js';
import { freshDatabase, type FreshDatabase } from '../../../support/postgres.js';
import { append, startProjecting, type ProjectingProcess } from '../../../support/projecting.js';

interface Notes {
  notes: { id: string; n: number; body: { words: string[] } | null; flag: boolean | null };
  marks: { id: string; at: number };
}

const columns = z.object({
  id: z.string(),
  n: z.int(),
  body: z.object({ words: z.array(z.string()) }).nullable(),
  flag: z.boolean().optional(),
});

let work: (db: Kysely<Notes>) => Promise<unknown> = async () => undefined;
const Notebook = tables('notebook', {
  version: 1,
  tables: {
    notes: { columns, primaryKey: ['id'] },
    marks: { columns: z.object({ id: z.string(), at: z.int() }), primaryKey: ['id'] },
  },
  timeoutMs: 25_000,
})
  .on(Account)
  // The tests try more than its type lets through.
  .handle(async ({ db }) => work(db as never));
const app = defineApp({
  auth: 'none',
  name: 'notes',
  aggregates: [Account],
  projections: [Notebook],
  shards: SHARDS,
});

let pg: FreshDatabase;
let one: ProjectingProcess;
let db: Database;
const lease = { scope: 'projector/notebook.v1', item: 0, holder: 'test', term: 1 };
const event = {
  aggregate: 'account',
  type: 'Ignored',
  data: {},
  tags: {},
  metadata: { correlationId: '', causationId: '', actor: '' },
  streamId: 'a',
  version: 1,
  eventId: '',
  recordedAt: '',
};

beforeAll(async () => {
  pg = await freshDatabase();
  one = await startProjecting(pg.url, app, { idle: true });
  db = new Database({
    connectionString: pg.url,
    schema: 'tidemark',
    role: 'test',
    logger: silentLogger,
    max: 1,
  });
  await append(one.store, 'account', 'a', [{ type: 'Ignored', data: {} }]);
});
afterAll(async () => {
  await db.end();
  await one.stop();
  await pg.drop();
});
beforeEach(async () => {
  await db.query(`UPDATE ${db.table('checkpoints')} SET seq = 0`);
  await db.query(`TRUNCATE ${db.table('notes__v1')}, ${db.table('marks__v1')}`);
  await db.query(`DELETE FROM ${db.table('leases')}`);
  await db.query(`INSERT INTO ${db.table('leases')} (scope, item, holder, term) VALUES ($1, 0, 'test', 1)`, [
    lease.scope,
  ]);
});

/** Runs a handler for one batch of shard 0, as its lane does. */
async function handle(handler: typeof work, from = 0, { timeoutMs } = Notebook): Promise<void> {
  work = handler;
  const progress = [{ source: 'account', shard: 0, from, til: from + 1 }];
  const notebook = { ...Notebook, timeoutMs };
  await runHandler(db, notebook, new WriteTables('tidemark', notebook), { lease, progress, events: [event] });
}
const notes = () => db.query(`SELECT id, n, body, flag FROM ${db.table('notes__v1')} ORDER BY id`);
const checkpoint = async () =>
  (await db.query<[number]>(`SELECT max(seq) FROM ${db.table('checkpoints')}`))[0]?.[0];

const row = { id: 'x', n: 1, body: { words: ['a'] }, flag: null };

describe('a handler', () => {
  it('inserts, updates, deletes, and reads what it wrote; JSON goes in and comes out as values', async () => {
    await handle(async (k) => {
      await k
        .insertInto('notes')
        .values([row, { ...row, id: 'y', body: null }, { ...row, id: 'z', n: 3 }])
        .execute();
      const updated = await k
        .updateTable('notes')
        .set({ body: { words: ['b', 'c'] }, n: sql<number>`notes.n + 10` })
        .where('notes.id', '=', 'y')
        .executeTakeFirst();
      expect(updated.numUpdatedRows).toBe(1n);
      const deleted = await k.deleteFrom('notes').where('id', '=', 'z').executeTakeFirst();
      expect(deleted.numDeletedRows).toBe(1n);
      expect(await k.selectFrom('notes').selectAll('notes').orderBy('id').execute()).toEqual([
        row,
        { id: 'y', n: 11, body: { words: ['b', 'c'] }, flag: null },
      ]);
    });
    expect(await notes()).toEqual([
      ['x', 1, '{"words":["a"]}', null],
      ['y', 11, '{"words":["b","c"]}', null],
    ]);
    expect(await checkpoint()).toBe(1);
  });

  it('upserts with what is there and what comes', async () => {
    await handle(async (k) => {
      await k.insertInto('notes').values(row).execute();
      await k
        .insertInto('notes')
        .values([{ ...row, n: 5, body: { words: ['new'] } }])
        .onConflict((conflict) =>
          conflict.column('id').doUpdateSet((eb) => ({
            n: eb('notes.n', '+', eb.ref('excluded.n')),
            body: { words: ['set'] },
          })),
        )
        .execute();
    });
    expect(await notes()).toEqual([['x', 6, '{"words":["set"]}', null]]);
  });

  it('joins, uses CTEs that write, and copies from one of its tables to another', async () => {
    await handle(async (k) => {
      await k
        .insertInto('notes')
        .values([row, { ...row, id: 'y', n: 2 }])
        .execute();
      await k
        .insertInto('marks')
        .columns(['id', 'at'])
        .expression((eb) => eb.selectFrom('notes as m').select(['m.id', 'm.n']).where('m.n', '>', 1))
        .execute();
      const gone = await k
        .with('gone', (q) =>
          q.deleteFrom('notes').using('marks').whereRef('marks.id', '=', 'notes.id').returning('notes.id'),
        )
        .selectFrom('gone')
        .leftJoin('marks', 'marks.id', 'gone.id')
        .select(['gone.id', 'marks.at'])
        .execute();
      expect(gone).toEqual([{ id: 'y', at: 2 }]);
      await k
        .updateTable('notes as t')
        .from('marks')
        .set({ n: 9 })
        .whereRef('t.id', '!=', 'marks.id')
        .execute();
    });
    expect(await notes()).toEqual([['x', 9, '{"words":["a"]}', null]]);
  });

  it('may send statements at once: they run one after the other', async () => {
    await handle((k) =>
      Promise.all(
        ['a', 'b', 'c'].map((id) =>
          k
            .insertInto('notes')
            .values({ ...row, id })
            .execute(),
        ),
      ),
    );
    expect((await notes()).map(([id]) => id)).toEqual(['a', 'b', 'c']);
  });

  it('counts what it sent and did not wait for', async () => {
    await handle(async (k) => {
      void k.insertInto('notes').values(row).execute();
    });
    expect(await notes()).toHaveLength(1);
  });

  it('loses the batch with any statement that failed, also one that it caught', async () => {
    const twice = handle(async (k) => {
      await k.insertInto('notes').values(row).execute();
      await k
        .insertInto('notes')
        .values(row)
        .execute()
        .catch(() => undefined);
    });
    await expect(twice).rejects.toThrow(HandlerFailed);
    expect(await notes()).toEqual([]);
    expect(await checkpoint()).toBe(0);
  });

  it('cannot use its database once it has returned', async () => {
    let kept: Kysely<Notes> | undefined;
    await handle(async (k) => {
      kept = k;
    });
    await expect(kept?.insertInto('notes').values(row).execute()).rejects.toThrow(
      'the handler of notebook has ended; its database cannot be used any more',
    );
    expect(await notes()).toEqual([]);
  });
});

describe('refused before it is sent:', () => {
  const tried: readonly (readonly [string, (k: Kysely<Notes>) => Promise<unknown>, string])[] = [
    [
      'another table',
      (k) =>
        k
          .selectFrom('events' as 'notes')
          .selectAll()
          .execute(),
      'uses the table "events", which is not among its own: notes, marks',
    ],
    [
      'a table by its schema',
      (k) =>
        k
          .selectFrom('tidemark.notes__v1' as 'notes')
          .selectAll()
          .execute(),
      'uses the table "tidemark.notes__v1"',
    ],
    [
      'an insert into another',
      (k) =>
        k
          .insertInto('events' as 'notes')
          .values(row)
          .execute(),
      'uses the table "events"',
    ],
    [
      'an update of another',
      (k) =>
        k
          .updateTable('events' as 'notes')
          .set({ n: 1 })
          .execute(),
      'uses the table "events"',
    ],
    [
      'a delete from another',
      (k) => k.deleteFrom('checkpoints' as 'notes').execute(),
      'uses the table "checkpoints"',
    ],
    [
      'a join with another',
      (k) =>
        k
          .selectFrom('notes')
          .innerJoin('events' as 'marks', 'marks.id', 'notes.id')
          .selectAll()
          .execute(),
      'uses the table "events"',
    ],
    [
      'another in a subquery',
      (k) =>
        k
          .deleteFrom('notes')
          .where('id', 'in', (eb) => eb.selectFrom('events' as 'marks').select('id'))
          .execute(),
      'uses the table "events"',
    ],
    [
      'another in a CTE',
      (k) =>
        k
          .with('x', (q) => q.deleteFrom('events' as 'notes').returning('id'))
          .selectFrom('x')
          .selectAll()
          .execute(),
      'uses the table "events"',
    ],
    [
      'another by sql.table',
      (k) =>
        k
          .selectFrom(sql<Notes['notes']>`${sql.table('events')}`.as('e'))
          .selectAll()
          .execute(),
      'uses the table "events"',
    ],
    [
      'another by a fragment',
      (k) =>
        k
          .selectFrom(sql<Notes['notes']>`tidemark.events`.as('e'))
          .selectAll()
          .execute(),
      'uses the table "tidemark.events"',
    ],
    [
      'another by a subquery in a fragment',
      (k) =>
        k
          .updateTable('notes')
          .set({ n: sql<number>`(select count(*) from tidemark.events)` })
          .execute(),
      'names a table in a raw fragment',
    ],
    [
      'DDL',
      (k) => k.schema.dropTable('notes').execute(),
      'tried DropTableNode; a handler selects, inserts, updates and deletes',
    ],
    ['TRUNCATE', (k) => sql`truncate tidemark.notes__v1`.execute(k), 'tried RawNode'],
    ['COMMIT', (k) => sql`commit`.execute(k), 'tried RawNode'],
    [
      'a raw CTE',
      (k) =>
        k
          .with('x', () => sql`delete from tidemark.events returning *` as never)
          .selectFrom('x' as 'notes')
          .selectAll()
          .execute(),
      'tried RawNode',
    ],
    [
      'MERGE',
      (k) => k.mergeInto('notes').using('marks', 'marks.id', 'notes.id').whenMatched().thenDelete().execute(),
      'tried MergeQueryNode',
    ],
  ];
  it.each(tried)('%s', async (_what, attempt, message) => {
    await expect(handle(attempt)).rejects.toThrow(`the handler of notebook: it ${message}`);
    expect(await checkpoint()).toBe(0);
  });

  it('a transaction of its own, another connection, a stream', async () => {
    await expect(handle((k) => k.transaction().execute(async () => undefined))).rejects.toThrow(
      'has its transaction already; it cannot begin another',
    );
    await expect(
      handle(async (k) => {
        for await (const _row of k.selectFrom('notes').selectAll().stream()) break;
      }),
    ).rejects.toThrow('the handler of notebook cannot stream');
    await handle((k) => k.connection().execute((same) => same.insertInto('notes').values(row).execute()));
    expect(await notes()).toHaveLength(1);
  });

  it('two statements in one message', async () => {
    const two = handle((k) =>
      k
        .deleteFrom('notes')
        .where(sql<boolean>`true; commit; select 1 where true`)
        .execute(),
    );
    await expect(two).rejects.toThrow(/cannot insert multiple commands/);
  });
});

it('more values than Postgres takes fail the handler, not the connection', async () => {
  const many = Array.from({ length: 20_000 }, (_, n) => ({ ...row, id: `${n}` }));
  const attempt = handle((k) => k.insertInto('notes').values(many).execute());
  await expect(attempt).rejects.toThrow(HandlerFailed);
  await expect(attempt).rejects.toThrow('a statement with 80000 values; Postgres takes 65535');
});

it('a lock that somebody else holds is no fault of the events', async () => {
  const other = await one.db.connect();
  await other.query('BEGIN; SET LOCAL idle_in_transaction_session_timeout = 0');
  await other.query(`LOCK TABLE ${db.table('notes__v1')}`);
  const attempt = handle(async (k) => {
    await k.selectNoFrom(sql`set_config('lock_timeout', '50ms', true)`.as('s')).execute();
    await k.insertInto('notes').values(row).execute();
  });
  await expect(attempt).rejects.toMatchObject({ code: '55P03' });
  await other.query('ROLLBACK');
  other.release();
});

describe('time', () => {
  it('of one statement is bounded by Postgres, of all of it by us', async () => {
    const hasty = { ...Notebook, timeoutMs: 800 };
    await expect(
      handle((k) => k.selectNoFrom(sql`pg_sleep(30)`.as('s')).execute(), 0, hasty),
    ).rejects.toThrow(HandlerFailed);
    await expect(handle(() => new Promise(() => undefined), 0, hasty)).rejects.toThrow(
      'the handler of notebook: it took more than 800 ms',
    );
    // Neither left a connection or a lock behind: the pool has only one.
    await handle((k) => k.insertInto('notes').values(row).execute());
    expect(await notes()).toHaveLength(1);
  });
});

describe('nothing is written by a worker that', () => {
  it('is fenced', async () => {
    await db.query(`UPDATE ${db.table('leases')} SET term = 2`);
    await expect(handle((k) => k.insertInto('notes').values(row).execute())).rejects.toMatchObject({
      code: 'TM102',
    });
    expect(await notes()).toEqual([]);
  });

  it('comes second', async () => {
    await handle((k) => k.insertInto('notes').values(row).execute());
    await expect(
      handle((k) =>
        k
          .insertInto('notes')
          .values({ ...row, id: 'y' })
          .execute(),
      ),
    ).rejects.toMatchObject({
      code: 'TM101',
    });
    expect(await notes()).toHaveLength(1);
  });

  it.each(['paused', 'retired', 'building'])('has not heard that the version is %s', async (state) => {
    await db.query(`UPDATE ${db.table('projections')} SET state = $1`, [state]);
    try {
      await expect(handle((k) => k.insertInto('notes').values(row).execute())).rejects.toMatchObject({
        code: 'TM105',
      });
      expect(await notes()).toEqual([]);
    } finally {
      await db.query(`UPDATE ${db.table('projections')} SET state = 'live'`);
    }
  });
});
