/** What the log says of connections that the server ends, on a real Postgres. */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createLogger } from '../../../src/platform/logger.js';
import { Database } from '../../../src/platform/postgres/database.js';
import { freshDatabase, type FreshDatabase } from '../../support/postgres.js';

let pg: FreshDatabase;
let lines: string[];

const open = (role: string): Database =>
  new Database({
    connectionString: pg.url,
    schema: 'tidemark',
    role,
    logger: createLogger({ level: 'warn', destination: { write: (line) => lines.push(line) } }),
  });

beforeEach(async () => {
  pg = await freshDatabase();
  lines = [];
});

afterEach(() => pg.drop());

describe('a connection that the server ends', () => {
  it('while idle, is told', async () => {
    const db = open('idle');
    await db.query('SELECT 1');
    const other = open('other');
    await other.query(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'tidemark:idle'`,
    );
    await vi.waitFor(() => expect(lines.join()).toContain('idle connection lost'), 60_000);
    await Promise.all([db.end(), other.end()]);
  });

  it('while it is being closed, is not: an embedded Postgres stops right after its last client', async () => {
    const db = open('closing');
    const clients = await Promise.all([1, 2, 3].map(() => db.pool.connect()));
    for (const client of clients) client.release();
    const ended = db.end();
    // What Postgres sends to a connection whose goodbye it has not read yet.
    for (const client of clients) client.emit('error', new Error('terminating connection'));
    await ended;
    expect(lines).toEqual([]);
  });
});
