/** What operators ask for with the wrong code, or in two ways at once, is refused before anything is thrown away. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { z } from 'zod';
import { projection } from '../../../src/domain/projection.js';
import { silentLogger } from '../../../src/platform/logger.js';
import { Database } from '../../../src/platform/postgres/database.js';
import { migrate } from '../../../src/platform/postgres/migrate.js';
import { rebuild } from '../../../src/projections/operations/control.js';
import { prune } from '../../../src/projections/operations/release.js';
import { ensureReadModel } from '../../../src/projections/read-model.js';
import { Account } from '../../support/bank.js';
import { freshDatabase, type FreshDatabase } from '../../support/postgres.js';
import { typed } from '../../support/typed.js';
import { bankOf, HoldersV1 } from '../../support/versions.js';

/** Changed, and still the first version. */
const Changed = projection('holders', {
  version: 1,
  row: z.object({ id: z.string(), owner: z.string(), extra: z.string() }),
  key: 'id',
}).on(Account, { fold: { Opened: (_row, { data }) => ({ owner: data.owner, extra: '' }) } });

let postgres: FreshDatabase;
let db: Database;

beforeAll(async () => {
  postgres = await freshDatabase();
  const logger = silentLogger;
  db = new Database({ connectionString: postgres.url, schema: 'tidemark', role: 'test', logger, max: 3 });
  await migrate(db);
  await ensureReadModel(db, bankOf(HoldersV1));
  await db.query(`INSERT INTO tidemark.holders__v1 VALUES ('a-1', 'ann', 1)`);
});
afterAll(async () => {
  await db.end();
  await postgres.drop();
});

test('rebuild, by code that would not make the rows that there are', async () => {
  await expect(rebuild(db, bankOf(Changed), 'holders', { here: true })).rejects.toMatchObject({
    code: 'projection_changed',
    message: expect.stringContaining('fields.extra: added'),
  });
  expect(await db.query('SELECT id, owner FROM tidemark.holders')).toEqual([['a-1', 'ann']]);
});

test('prune without the application says why the newest versions are kept', async () => {
  const { kept } = await prune(db, { app: undefined, graceMs: 0, dryRun: true });
  expect(kept).toEqual([{ name: 'holders', version: 1, why: 'it is the newest version' }]);
});

test('prune does not take an application that cannot be loaded for none', async () => {
  const folder = await mkdtemp(path.join(tmpdir(), 'tidemark-prune-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  await writeFile(path.join(folder, 'app.js'), `throw new Error('half written');\n`);
  const { code, stderr } = await typed(
    ['projections', 'prune', '--dry-run'],
    { DATABASE_URL: postgres.url },
    folder,
  );
  expect([code, stderr]).toEqual([1, expect.stringMatching(/half written .*\[invalid_app\]/)]);
});

test('verify is told one way to choose its rows', async () => {
  const run = (line: string) => typed(line.split(' '), { DATABASE_URL: postgres.url });
  for (const line of ['--all --sample 3', '--all --key a', '--key a --sample 3']) {
    const { code, stderr } = await run(`projections verify holders ${line}`);
    expect([code, stderr]).toEqual([1, expect.stringMatching(/cannot be used with .*\[invalid_arguments\]/)]);
  }
});
