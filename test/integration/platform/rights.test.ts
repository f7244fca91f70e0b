/** The rights that a role needs on a database of its own: to make the schema, or to own one that is there. */
import { randomBytes } from 'node:crypto';
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import orders from '../../../examples/orders/app.js';
import { prepareDatabase } from '../../../src/app/prepare.js';
import { silentLogger } from '../../../src/platform/logger.js';
import { Database } from '../../../src/platform/postgres/database.js';
import { migrate } from '../../../src/platform/postgres/migrate.js';
import { freshDatabase, type FreshDatabase } from '../../support/postgres.js';

const ROLE = `shop_${randomBytes(6).toString('hex')}`;
let owner: FreshDatabase;
let admin: pg.Client;
let own: string;

beforeAll(async () => {
  owner = await freshDatabase();
  admin = new pg.Client({ connectionString: owner.url });
  await admin.connect();
  await admin.query(`CREATE ROLE ${ROLE} LOGIN PASSWORD '${ROLE}'`);
  const url = new URL(owner.url);
  url.username = ROLE;
  url.password = ROLE;
  own = url.href;
});
afterAll(async () => {
  await admin?.query(`DROP OWNED BY ${ROLE} CASCADE`);
  await admin?.query(`DROP ROLE ${ROLE}`);
  await admin?.end();
  await owner?.drop();
});

async function migrated(schema: string): Promise<readonly string[]> {
  const database = new Database({
    connectionString: own,
    schema,
    role: 'test',
    logger: silentLogger,
    max: 1,
  });
  try {
    return (await migrate(database)).applied;
  } finally {
    await database.end();
  }
}

test('a start without rights says what the role needs, and no password', async () => {
  const start = prepareDatabase(orders, { url: own, schema: 'made', logger: silentLogger });
  const problem = await start.catch((error: unknown) => error);
  expect(problem).toMatchObject({
    code: 'invalid_config',
    message: expect.stringMatching(/permission denied.*CREATE on the database, or a schema made/) as string,
  });
  expect(String(problem)).not.toContain(`:${ROLE}@`);
});

test('a schema that it owns is enough', async () => {
  await expect(migrated('made')).rejects.toThrow('permission denied for database');
  await admin.query(`CREATE SCHEMA made AUTHORIZATION ${ROLE}`);
  expect(await migrated('made')).not.toHaveLength(0);
  expect(await migrated('made')).toHaveLength(0);
});

test('with the right to make schemas it makes its own', async () => {
  const { pathname } = new URL(owner.url);
  await admin.query(`GRANT CREATE ON DATABASE ${pathname.slice(1)} TO ${ROLE}`);
  expect(await migrated('own')).not.toHaveLength(0);
});
