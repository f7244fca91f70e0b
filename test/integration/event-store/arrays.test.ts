/** Arrays in binary form: Postgres reads what was written. */
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { silentLogger } from '../../../src/platform/logger.js';
import {
  boolArray,
  int4Array,
  int8Array,
  jsonArray,
  textArray,
  uuidArray,
} from '../../../src/platform/postgres/arrays.js';
import { Database } from '../../../src/platform/postgres/database.js';
import { freshDatabase, type FreshDatabase } from '../../support/postgres.js';

let pg: FreshDatabase;
let db: Database;

beforeAll(async () => {
  pg = await freshDatabase();
  db = new Database({ connectionString: pg.url, schema: 'tidemark', role: 'arrays', logger: silentLogger });
});
afterAll(async () => {
  await db.end();
  await pg.drop();
});

async function readBack(type: string, array: Buffer): Promise<unknown> {
  const [row] = await db.query<[string]>(`SELECT to_json($1::${type}[])`, [array]);
  return JSON.parse(row?.[0] ?? 'null');
}

const text = fc.string({ unit: 'binary' }).map((value) => value.replaceAll('\u0000', '').toWellFormed());

test.each([
  ['text', fc.array(text), textArray],
  ['int4', fc.array(fc.integer()), int4Array],
  ['int8', fc.array(fc.maxSafeInteger()), int8Array],
  ['bool', fc.array(fc.boolean()), boolArray],
  ['json', fc.array(fc.json()), jsonArray],
] as const)('%s[] comes back as it was', async (type, values, encode) => {
  await fc.assert(
    fc.asyncProperty<[unknown[]]>(values, async (given) => {
      // The tuple type of a table does not tie each encoder to its values.
      const back = await readBack(type, (encode as (list: readonly unknown[]) => Buffer)(given));
      expect(back).toEqual(type === 'json' ? given.map((one) => JSON.parse(String(one))) : given);
    }),
    { numRuns: 40 },
  );
});

test('uuid[] takes texts, bytes and nothing', async () => {
  const id = '01890a5d-ac96-774b-bcce-b302099a8057';
  const bytes = Buffer.from(id.replaceAll('-', ''), 'hex').toString('latin1');
  expect(await readBack('uuid', uuidArray([id, undefined, bytes, id.toUpperCase()]))).toEqual([
    id,
    null,
    id,
    id,
  ]);
  expect(await readBack('uuid', uuidArray([]))).toEqual([]);
  expect(() => uuidArray(['not a uuid'])).toThrow(RangeError);
});
