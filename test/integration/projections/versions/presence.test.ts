/** Who serves what: told at the start, kept up while a process lives, and for the version's last user after its end. */
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import { silentLogger } from '../../../../src/platform/logger.js';
import { Database } from '../../../../src/platform/postgres/database.js';
import { Leases } from '../../../../src/platform/postgres/leases.js';
import { migrate } from '../../../../src/platform/postgres/migrate.js';
import { ensureReadModel } from '../../../../src/projections/read-model.js';
import { Presence } from '../../../../src/projections/versions/presence.js';
import { bank } from '../../../support/bank.js';
import { freshDatabase, type FreshDatabase } from '../../../support/postgres.js';

const logger = silentLogger;
let postgres: FreshDatabase;
let db: Database;
const running: { stop(): Promise<void> }[] = [];

const open = (role: string, max: number): Database =>
  new Database({ connectionString: postgres.url, schema: 'tidemark', role, logger, max });

beforeAll(async () => {
  postgres = await freshDatabase();
  db = open('test', 3);
});
afterAll(async () => {
  await db.end();
  await postgres.drop();
});
beforeEach(async () => {
  await db.query('DROP SCHEMA IF EXISTS tidemark CASCADE');
  await migrate(db);
  await ensureReadModel(db, bank);
});
afterEach(async () => {
  for (const one of running.splice(0)) await one.stop();
});

/** A process; it tells the others every few milliseconds. */
async function serve(roles: readonly string[]): Promise<{ member: string; stop(): Promise<void> }> {
  const pulse = open('leases', 1);
  const leases = new Leases({ db: pulse, logger, beatMs: 30, ttlMs: 600_000 });
  const { projections } = bank;
  const ensureTables = () => ensureReadModel(db, bank);
  const presence = new Presence({ db, leases, projections, roles, logger, ensureTables, touchMs: 20 });
  const process = { member: leases.member, stop: () => presence.stop().then(() => pulse.end()) };
  running.push(process);
  await presence.start();
  return process;
}

const rows = () =>
  db.query<[string, string, number, string[]]>(
    'SELECT member, projection, version, roles FROM tidemark.serving ORDER BY member, projection',
  );
const seenAt = async (member: string): Promise<number> => {
  const [row] = await db.query<[string]>('SELECT max(seen_at) FROM tidemark.serving WHERE member = $1', [
    member,
  ]);
  return Date.parse(row?.[0] ?? '');
};

it('a process tells its versions and roles before it begins, and that it is there as long as it is', async () => {
  const { member } = await serve(['api', 'gateway']);
  expect(await rows()).toEqual([
    [member, 'accounts', 1, ['api', 'gateway']],
    [member, 'owners', 1, ['api', 'gateway']],
  ]);
  await expect
    .poll(() => db.query('SELECT FROM tidemark.members WHERE member = $1', [member]), { timeout: 60_000 })
    .toHaveLength(1);
  const first = await seenAt(member);
  await expect.poll(() => seenAt(member), { timeout: 60_000 }).toBeGreaterThan(first);
  // Whoever took its rows away was wrong.
  await db.query('DELETE FROM tidemark.serving');
  await expect.poll(rows, { timeout: 60_000 }).toHaveLength(2);
});

it('of those that have gone, the last user of each version stays, for 30 days', async () => {
  const first = await serve(['api']);
  await first.stop();
  const second = await serve(['api']);
  await second.stop();
  expect(await db.query('SELECT FROM tidemark.members')).toEqual([]);
  expect((await rows()).map(([member]) => member).toSorted()).toEqual(
    [first.member, first.member, second.member, second.member].toSorted(),
  );
  // Dead as well, and long.
  await db.query(
    `INSERT INTO tidemark.serving (member, projection, version, roles, seen_at)
     SELECT m, p, 7, '{api}', now() - d * interval '1 day' FROM (VALUES ('old', 'gone', 31), ('late', 'kept', 29)) x(m, p, d)`,
  );
  const third = await serve(['api']);
  await expect
    .poll(async () => (await rows()).map(([member, projection]) => `${member} ${projection}`).toSorted(), {
      timeout: 60_000,
    })
    .toEqual([`${third.member} accounts`, `${third.member} owners`, 'late kept'].toSorted());
});
