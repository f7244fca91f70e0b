/** A process of Tidemark 0.1 beside newer ones: it calls a function of another name, and must not write past parked keys. */
import { afterEach, beforeEach, expect, it } from 'vitest';
import { applyFunction, formerApplyFunction } from '../../../src/projections/names.js';
import { ensureReadModel } from '../../../src/projections/read-model.js';
import { Accounts, bank } from '../../support/bank.js';
import { freshDatabase, type FreshDatabase } from '../../support/postgres.js';
import { startProjecting, type ProjectingProcess } from '../../support/projecting.js';

let pg: FreshDatabase;
let one: ProjectingProcess;

beforeEach(async () => {
  pg = await freshDatabase();
  one = await startProjecting(pg.url, bank, { idle: true });
});
afterEach(async () => {
  await one.stop();
  await pg.drop();
});

/** The signature of 0.1; what it does is of no matter here, but that it did something. */
const made = (name: string): string => `CREATE FUNCTION ${name}(
  p_epoch text, p_sources text[], p_shards int[], p_from bigint[], p_til bigint[], p_scope text, p_holder text, p_term bigint, p_into int[],
  p_keys text[], p_revs bigint[], p_at int[], p_off int[], p_before json[], p_rows json[], p_known int, p_gone text[], OUT heads bigint[], OUT written timestamptz)
LANGUAGE plpgsql AS $$ BEGIN written := now(); END $$`;
const call = (name: string): string =>
  `SELECT heads, written FROM ${name}('e', '{}', '{}', '{}', '{}', NULL, NULL, NULL, '{}', '{}', '{}', '{}', '{}', '{}', '{}', 0, '{}')`;

it('is told that another is ahead, so that it stands by', async () => {
  const name = one.db.table(formerApplyFunction(Accounts));
  expect(name).not.toBe(one.db.table(applyFunction(Accounts)));
  await expect(one.db.query(call(name))).rejects.toMatchObject({ code: '42883' });
  await one.db.query(made(name));
  expect(await one.db.query(call(name))).toHaveLength(1);
  await ensureReadModel(one.db, bank);
  // TM101 is what 0.1 takes for "a checkpoint was moved by another": it reads its checkpoint again, and waits longer each time.
  await expect(one.db.query(call(name))).rejects.toMatchObject({ code: 'TM101' });
  await ensureReadModel(one.db, bank);
  await expect(one.db.query(call(name))).rejects.toMatchObject({ code: 'TM101' });
});
