/** What clients see of rows that stand still, over HTTP; and what operators count. */
import { aggregate, defineApp, projection, query } from 'tidemark';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { loadConfig } from '../../../src/app/config.js';
import { createRuntime, type Runtime } from '../../../src/app/runtime.js';
import { silentLogger } from '../../../src/platform/logger.js';
import { Database } from '../../../src/platform/postgres/database.js';
import { replayParked } from '../../../src/projections/parked/operations.js';
import { freshDatabase, type FreshDatabase } from '../../support/postgres.js';

const Note = aggregate('note', {
  state: z.object({ count: z.int() }),
  initial: { count: 0 },
  events: { Written: z.object({ text: z.string() }) },
  commands: { write: z.object({ text: z.string() }) },
})
  .evolve({ Written: (state) => ({ count: state.count + 1 }) })
  .decide({ write: (_state, input, { emit }) => emit('Written', input) });

const bad = new Set(['boom']);
const Notes = projection('notes', {
  version: 1,
  row: z.object({ id: z.string(), text: z.string() }),
  key: 'id',
  channels: ['text'],
}).on(Note, {
  fold: {
    Written: (_row, { data }) => {
      if (bad.has(data.text)) throw new Error('not this text');
      return { text: data.text };
    },
  },
});
const count = query('count', {
  input: z.object({}),
  output: z.object({ n: z.int() }),
  reads: [Notes],
}).handle(async ({ db }) => {
  const rows = await db.selectFrom('notes').select('id').execute();
  return { n: rows.length };
});
const app = defineApp({
  auth: 'none',
  name: 'notes',
  aggregates: [Note],
  projections: [Notes],
  queries: [count],
});

let postgres: FreshDatabase;
let all: Runtime;
let db: Database;

beforeAll(async () => {
  postgres = await freshDatabase();
  const env = { DATABASE_URL: postgres.url, PORT: '0', REALTIME_PORT: '0' };
  all = createRuntime(app, loadConfig(env), { logger: silentLogger });
  await all.start();
  db = new Database({
    connectionString: postgres.url,
    schema: 'tidemark',
    role: 'test',
    logger: silentLogger,
  });
});
afterAll(async () => {
  await db.end();
  await all.stop();
  await postgres.drop();
});

const get = (path: string, headers: Record<string, string> = {}) =>
  fetch(`${all.urls.http}${path}`, { headers });
const mark = (response: Response) => response.headers.get('tidemark-parked');

async function write(id: string, text: string): Promise<string> {
  const response = await fetch(`${all.urls.http}/commands/note/${id}/write`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ text }),
  });
  return ((await response.json()) as { token: string }).token;
}

async function isParked(key: string): Promise<boolean> {
  const rows = await db.query('SELECT FROM tidemark.parked WHERE key = $1', [key]);
  return rows.length === 1;
}

describe('while nothing is parked', () => {
  it('no read says so', async () => {
    const token = await write('n-1', 'one');
    for (const path of [
      `/views/notes/n-1?after=${token}`,
      '/views/notes',
      '/queries/count',
      '/views/notes/none',
    ])
      expect(mark(await get(path))).toBeNull();
  });
});

describe('a parked row', () => {
  it('is served as it was before the event at fault, and says so', async () => {
    await write('n-1', 'boom');
    const two = await write('n-2', 'two');
    await expect.poll(() => isParked('n-1')).toBe(true);
    const row = await get('/views/notes/n-1');
    expect([row.status, mark(row), await row.json()]).toEqual([200, 'true', { id: 'n-1', text: 'one' }]);
    const etag = row.headers.get('etag') ?? '';
    const same = await get('/views/notes/n-1', { 'if-none-match': etag });
    expect([same.status, mark(same)]).toEqual([304, 'true']);
    const other = await get(`/views/notes/n-2?after=${two}`);
    expect([other.status, mark(other)]).toEqual([200, null]);
  });

  it('that never was is not found, and says so too', async () => {
    await write('n-3', 'boom');
    await expect.poll(() => isParked('n-3')).toBe(true);
    const none = await get('/views/notes/n-3');
    expect([none.status, mark(none)]).toEqual([404, 'true']);
    expect(none.headers.get('tidemark-cursor')).not.toBeNull();
  });

  it('marks the pages that it is on, and the queries that could have read it', async () => {
    const page = await get('/views/notes?sort=id&limit=1');
    expect([page.status, mark(page)]).toEqual([200, 'true']);
    const { next } = (await page.json()) as { next: string };
    expect(mark(await get(`/views/notes?sort=id&limit=1&page=${next}`))).toBeNull();
    expect(mark(await get('/views/notes?text=two'))).toBeNull();
    const counted = await get('/queries/count');
    expect([mark(counted), await counted.json()]).toEqual(['true', { n: 2 }]);
  });

  it('answers `after` at once: nothing that is waited for comes', async () => {
    const token = await write('n-1', 'later');
    await expect
      .poll(async () => (await db.query('SELECT FROM tidemark.parked_events WHERE key = $1', ['n-1'])).length)
      .toBe(2);
    for (const key of ['n-1', 'n-3']) {
      const response = await get(`/views/notes/${key}?after=${token}&wait=30000`);
      expect([response.status, mark(response), response.headers.get('retry-after')]).toEqual([
        503,
        'true',
        '30',
      ]);
      expect(await response.json()).toMatchObject({ code: 'row_parked' });
    }
    for (const [parameters, code] of [
      ['after=garbage', 'invalid_token'],
      [`after=${token}&wait=never`, 'invalid_parameter'],
    ]) {
      const refused = await get(`/views/notes/n-1?${parameters}`);
      expect([refused.status, await refused.json()]).toMatchObject([400, { code }]);
    }
    const other = await get(`/views/notes/n-2?after=${token}&wait=30000`);
    expect([other.status, mark(other)]).toEqual([200, null]);
  });

  it('is told to whoever wrote the very event that is at fault', async () => {
    const token = await write('n-4', 'boom');
    const response = await get(`/views/notes/n-4?after=${token}&wait=30000`);
    expect(await response.json()).toMatchObject({ code: 'row_parked' });
  });

  it('is counted', async () => {
    const metrics = async () => (await get('/metrics')).text();
    await expect
      .poll(metrics, { timeout: 60_000 })
      .toMatch(/^tidemark_projection_parked_keys\{projection="notes",version="1"\} 3$/m);
    // The keys are counted in Postgres, and the parks once this process has heard of its commit.
    await expect.poll(metrics).toMatch(/^tidemark_projection_parks_total\{projection="notes"\} 3$/m);
  });

  it('is like any other once it was replayed', async () => {
    bad.clear();
    for (const key of ['n-1', 'n-3', 'n-4'])
      expect((await replayParked({ db, projection: Notes }, { part: '', key })).waiting).toBe(0);
    const token = await write('n-1', 'last');
    const row = await get(`/views/notes/n-1?after=${token}&wait=30000`);
    expect([row.status, mark(row), await row.json()]).toEqual([200, null, { id: 'n-1', text: 'last' }]);
    expect(mark(await get('/views/notes'))).toBeNull();
    expect(mark(await get('/queries/count'))).toBeNull();
  });
});
