/** Read models are made from definitions: once, by whoever starts first, and never over a definition that changed. */
import { aggregate, defineApp, projection } from 'tidemark';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import type { AnyProjection } from '../../../src/domain/projection.js';
import { silentLogger } from '../../../src/platform/logger.js';
import { Database } from '../../../src/platform/postgres/database.js';
import { migrate } from '../../../src/platform/postgres/migrate.js';
import { ensureReadModel } from '../../../src/projections/read-model.js';
import { readCheckpoints } from '../../../src/projections/checkpoints.js';
import { readChanges } from '../../../src/projections/change-log.js';
import { readSnapshot } from '../../../src/projections/snapshot.js';
import { freshDatabase, type FreshDatabase } from '../../support/postgres.js';

const Ship = aggregate('ship', {
  state: z.object({}),
  initial: {},
  events: { Named: z.object({ name: z.string() }) },
  commands: {},
})
  .evolve({ Named: (state) => state })
  .decide({});

const row = z.object({
  id: z.string(),
  name: z.string(),
  tons: z.int().nullable(),
  speed: z.number(),
  afloat: z.boolean(),
  extra: z.string().optional(),
  cargo: z.array(z.object({ what: z.string() })),
});
const fleet: AnyProjection = projection('fleet', {
  version: 1,
  row,
  key: 'id',
  indexes: [['name', 'tons'], 'speed'],
  channels: ['name', ['afloat', 'name']],
}).on(Ship, { fold: { Named: () => null } });

const app = (one: AnyProjection) =>
  defineApp({ auth: 'none', name: 'ships', aggregates: [Ship], projections: [one], shards: 4 });

let pg: FreshDatabase;
let db: Database;

beforeAll(async () => {
  pg = await freshDatabase();
  db = new Database({
    connectionString: pg.url,
    schema: 'tidemark',
    role: 'test',
    logger: silentLogger,
    max: 8,
  });
  await migrate(db);
});
afterAll(async () => {
  await db.end();
  await pg.drop();
});

describe('ensureReadModel', () => {
  it('makes everything once, with several starts at the same time', async () => {
    await Promise.all(Array.from({ length: 4 }, () => ensureReadModel(db, app(fleet))));
    const columns = await db.query<[string, string, string, string | null]>(
      `SELECT column_name, data_type, is_nullable, collation_name FROM information_schema.columns
       WHERE table_schema = 'tidemark' AND table_name = 'fleet__v1' ORDER BY ordinal_position`,
    );
    expect(columns).toEqual([
      ['id', 'text', 'NO', 'C'],
      ['name', 'text', 'NO', 'C'],
      ['tons', 'bigint', 'YES', null],
      ['speed', 'double precision', 'NO', null],
      ['afloat', 'boolean', 'NO', null],
      ['extra', 'text', 'YES', 'C'],
      ['cargo', 'json', 'NO', null],
      ['_rev', 'bigint', 'NO', null],
    ]);
    const indexes = await db.query<[string]>(
      `SELECT indexdef FROM pg_indexes WHERE schemaname = 'tidemark' AND tablename = 'fleet__v1' ORDER BY indexname`,
    );
    const over = indexes.map(([definition]) => /\((.*)\)$/.exec(definition)?.[1]);
    expect(over).toEqual(expect.arrayContaining(['id', 'name, tons, id', 'speed, id', 'afloat, name, id']));
    expect(over).toHaveLength(4);
    const points = await readCheckpoints(db, [{ name: 'fleet', version: 1 }]);
    expect(points.map(({ source, shard, seq }) => [source, shard, seq]).sort()).toEqual(
      [0, 1, 2, 3].map((shard) => ['ship', shard, 0]),
    );
    expect(await db.query('SELECT * FROM tidemark.fleet')).toEqual([]);
    expect(await readChanges(db, 'fleet.v1', 3, 0, 10)).toEqual({ kind: 'entries', entries: [] });
    await expect(readChanges(db, 'fleet.v1', 4, 0, 10)).rejects.toMatchObject({ code: 'unknown_log' });
  });

  it('stops a start whose definition changed without a new version, and says what differs', async () => {
    const changed = projection('fleet', {
      version: 1,
      row: row.extend({ afloat: z.string() }).omit({ tons: true }),
      key: 'id',
      channels: ['name'],
    }).on(Ship, { fold: { Named: () => null } });
    await expect(ensureReadModel(db, app(changed))).rejects.toMatchObject({
      code: 'projection_changed',
      extra: {
        differences: [
          'channels: ["afloat + name","name"] → ["name"]',
          'fields.afloat.kind: "boolean" → "text"',
          'fields.afloat.schema.type: "boolean" → "string"',
          expect.stringMatching(/^fields\.tons: removed \(was \{"kind":"integer"/),
        ],
      },
    });
  });

  it('builds a new version beside the old one, and makes an index that was added', async () => {
    const next = { ...fleet, version: 2, indexes: [['name', 'tons'], ['speed'], ['extra']] };
    await ensureReadModel(db, app(next));
    await ensureReadModel(db, app({ ...next, indexes: [...next.indexes, ['tons']] }));
    const tables = await db.query<[string]>(
      `SELECT tablename FROM pg_tables WHERE schemaname = 'tidemark' AND tablename ~ 'fleet' ORDER BY 1`,
    );
    expect(tables.flat()).toEqual([
      '_log_fleet__v1',
      '_log_fleet__v1__s0',
      '_log_fleet__v2',
      '_log_fleet__v2__s0',
      'fleet__v1',
      'fleet__v2',
    ]);
    const [made] = await db.query<[string]>(
      `SELECT indexdef FROM pg_indexes WHERE indexname = '_ix_fleet__v2__tons_id'`,
    );
    expect(made?.[0]).toContain('(tons, id)');
  });

  it('leaves alone what is not its own', async () => {
    await db.query('CREATE TABLE tidemark.taken (x int)');
    const one = { ...fleet, name: 'taken' };
    await expect(ensureReadModel(db, app(one))).rejects.toMatchObject({ code: 'projection_name_taken' });
    expect(await db.query(`SELECT to_regclass('tidemark.taken__v1') IS NULL`)).toEqual([[true]]);
  });
});

describe('readSnapshot', () => {
  it('gives rows as the change log would, and the heads of the same moment', async () => {
    await db.query(
      `INSERT INTO tidemark.fleet__v1 VALUES ('b', 'Ida', 5, 1e21, true, NULL, '[{"what":"\\u00e9 1.0"}]', 3), ('a', 'Ida', NULL, 0.1, false, 'x', '[]', 7), ('c', 'Eva', 1, 1, true, NULL, '[]', 1)`,
    );
    await db.query(
      `INSERT INTO tidemark.changes (log, shard, seq, slot, key, recorded_at) VALUES ('fleet.v1', 2, 1, 0, 'b', now()), ('fleet.v1', 2, 2, 0, 'b', now())`,
    );
    const all = await readSnapshot(db, fleet, {}, 10);
    expect(all.pos).toEqual([
      [0, 0],
      [1, 0],
      [2, 2],
      [3, 0],
    ]);
    expect(all.tooMany).toBe(false);
    expect(all.rows.map(([key, rev]) => [key, rev])).toEqual([
      ['a', 7],
      ['b', 3],
      ['c', 1],
    ]);
    expect(all.rows[0]?.[2]).toBe(
      '{"id":"a","name":"Ida","tons":null,"speed":0.1,"afloat":false,"extra":"x","cargo":[]}',
    );
    expect(all.rows[1]?.[2]).toBe(
      '{"id":"b","name":"Ida","tons":5,"speed":1e+21,"afloat":true,"cargo":[{"what":"\\u00e9 1.0"}]}',
    );
    const where = await readSnapshot(db, fleet, { where: { name: 'Ida', afloat: true } }, 10);
    expect(where.rows.map(([key]) => key)).toEqual(['b']);
    const nulls = await readSnapshot(db, fleet, { where: { tons: null } }, 10);
    expect(nulls.rows.map(([key]) => key)).toEqual(['a']);
    expect((await readSnapshot(db, fleet, { key: 'zz' }, 10)).rows).toEqual([]);
    expect(await readSnapshot(db, fleet, {}, 2)).toMatchObject({ rows: [], tooMany: true });
    await expect(readSnapshot(db, fleet, { where: { cargo: 'x' } }, 2)).rejects.toMatchObject({
      code: 'unknown_field',
    });
  });
});

describe('readChanges', () => {
  it('gives short pages when rows are large, and tells what was trimmed', async () => {
    const big = JSON.stringify({ text: 'x'.repeat(500_000) });
    await db.query(
      `INSERT INTO tidemark.changes (log, shard, seq, slot, key, before_channels, "row", recorded_at)
       SELECT 'fleet.v1', 1, n, 0, 'k', '{"name":"Ida"}', $1::json, '2026-01-02T03:04:05.678912Z' FROM generate_series(1, 20) n`,
      [big],
    );
    const seqs: number[] = [];
    let pages = 0;
    for (;;) {
      const page = await readChanges(db, 'fleet.v1', 1, seqs.at(-1) ?? 0, 100);
      if (page.kind !== 'entries' || page.entries.length === 0) break;
      pages++;
      expect(page.entries[0]).toMatchObject({
        log: 'fleet.v1',
        before: { name: 'Ida' },
        recordedAt: '2026-01-02T03:04:05.678Z',
      });
      seqs.push(...page.entries.map(({ seq }) => seq));
    }
    expect(seqs).toEqual(Array.from({ length: 20 }, (_, index) => index + 1));
    expect(pages).toBeGreaterThan(1);
    expect(pages).toBeLessThan(20);
    await db.query(`UPDATE tidemark.shards SET low = 5 WHERE log = 'fleet.v1' AND shard = 1`);
    expect(await readChanges(db, 'fleet.v1', 1, 4, 1)).toEqual({ kind: 'trimmed', low: 5 });
    expect(await readChanges(db, 'fleet.v1', 1, 5, 1)).toMatchObject({ entries: [{ seq: 6 }] });
  });
});
