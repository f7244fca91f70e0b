/** A projection's version is raised: what each process serves until the new one is as far, over HTTP and on the socket. */
import { aggregate, defineApp, projection, query } from 'tidemark';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { loadConfig } from '../../../src/app/config.js';
import type { Readiness } from '../../../src/app/http/operations-http.js';
import { createRuntime, type Runtime } from '../../../src/app/runtime.js';
import type { AnyApp } from '../../../src/domain/app.js';
import { createLogger, silentLogger, type Logger } from '../../../src/platform/logger.js';
import { Database } from '../../../src/platform/postgres/database.js';
import { pauseProjection, resumeProjection } from '../../../src/projections/versions/pausing.js';
import { subscribeTo } from '../../../src/testing/subscription.js';
import { freshDatabase, type FreshDatabase } from '../../support/postgres.js';

const Note = aggregate('note', {
  state: z.object({}),
  initial: {},
  events: { Written: z.object({ text: z.string() }) },
  commands: { write: z.object({ text: z.string() }) },
})
  .evolve({ Written: (state) => state })
  .decide({ write: (_state, input, { emit }) => emit('Written', input) });

const NotesV1 = projection('notes', {
  version: 1,
  row: z.object({ id: z.string(), text: z.string() }),
  key: 'id',
}).on(Note, { fold: { Written: (_row, { data }) => ({ text: data.text }) } });

const NotesV2 = projection('notes', {
  version: 2,
  row: z.object({ id: z.string(), text: z.string(), length: z.int() }),
  key: 'id',
  parking: false,
}).on(Note, {
  fold: {
    Written: (_row, { data }) => {
      if (data.text === 'too much for v2') throw new Error('v2 cannot fold this');
      return { text: data.text, length: data.text.length };
    },
  },
});

const Words = projection('words', {
  version: 1,
  row: z.object({ id: z.string(), words: z.int() }),
  key: 'id',
}).on(Note, { fold: { Written: (_row, { data }) => ({ words: data.text.split(' ').length }) } });

const countOf = (notes: typeof NotesV1 | typeof NotesV2) =>
  query('count', { input: z.object({}), output: z.object({ count: z.int() }), reads: [notes] }).handle(
    async ({ db }) => {
      const { count } = await db
        .selectFrom('notes')
        .select(({ fn }) => fn.countAll<number>().as('count'))
        .executeTakeFirstOrThrow();
      return { count };
    },
  );

const shared = { auth: 'none', name: 'notes', aggregates: [Note], shards: 4 } as const;
const appV1 = defineApp({ ...shared, projections: [NotesV1, Words], queries: [countOf(NotesV1)] });
const appV2 = defineApp({ ...shared, projections: [NotesV2, Words], queries: [countOf(NotesV2)] });

const PATIENCE = 60_000;
let postgres: FreshDatabase;
let db: Database;
const open: Runtime[] = [];

async function start(app: AnyApp, roles: string, logger: Logger = silentLogger): Promise<Runtime> {
  const env = { DATABASE_URL: postgres.url, PORT: '0', REALTIME_PORT: '0', TIDEMARK_ROLES: roles };
  const runtime = createRuntime(app, loadConfig(env), { logger });
  open.push(runtime);
  await runtime.start();
  return runtime;
}
const stop = async (runtime: Runtime): Promise<void> => {
  open.splice(open.indexOf(runtime), 1);
  await runtime.stop();
};

beforeAll(async () => {
  postgres = await freshDatabase();
  const logger = silentLogger;
  db = new Database({ connectionString: postgres.url, schema: 'tidemark', role: 'test', logger, max: 2 });
});
afterAll(async () => {
  await Promise.all(open.map((runtime) => runtime.stop()));
  await db.end();
  await postgres.drop();
});

async function get(
  runtime: Runtime,
  path: string,
): Promise<{ status: number; body: unknown; headers: Headers }> {
  const answer = await fetch(`${runtime.urls.http}${path}`);
  return { status: answer.status, body: await answer.json(), headers: answer.headers };
}
async function write(runtime: Runtime, id: string, text: string): Promise<string> {
  const answer = await fetch(`${runtime.urls.http}/commands/note/${id}/write`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ text }),
  });
  expect(answer.status).toBe(200);
  return ((await answer.json()) as { token: string }).token;
}
const readyz = async (runtime: Runtime): Promise<{ status: number; body: Readiness }> => {
  const { status, body } = await get(runtime, '/readyz');
  return { status, body: body as Readiness };
};
const becomesReady = (runtime: Runtime): Promise<void> =>
  expect.poll(async () => (await readyz(runtime)).status, { timeout: 60_000 }).toBe(200);
const listen = (runtime: Runtime) => subscribeTo(runtime.urls.realtime ?? '', 'notes', {});
const building = { code: 'projection_building' };

describe('a new version without a projector', () => {
  let old: Runtime;
  let fresh: Runtime;
  beforeAll(async () => {
    old = await start(appV1, 'api,projector,gateway');
    const tokens: string[] = [];
    for (let n = 0; n < 8; n++) tokens.push(await write(old, `n-${n}`, 'one two'));
    tokens.push(await write(old, 'n-0', 'three'));
    // How far the new version is behind is told by how far this one is: in all shards.
    const after = tokens.map((token) => `after=${token}`).join('&');
    for (const view of ['notes', 'words'])
      expect((await get(old, `/views/${view}?wait=30000&${after}`)).status).toBe(200);
    fresh = await start(appV2, 'api,gateway');
  });

  it('is not ready, and says how far behind it is', async () => {
    // What there is no answer to at first: how far it is, before it has looked.
    await expect
      .poll(() => readyz(fresh))
      .toMatchObject({
        status: 503,
        body: {
          ready: false,
          reasons: ['notes v2 is behind v1 by 9 events in 4 shards'],
          projections: {
            notes: { state: 'catching_up', version: 2, lag: 9, ready: false },
            words: { ready: true, version: 1 },
          },
        },
      });
    expect((await (await fetch(`${fresh.urls.http}/metrics`)).text()).split('\n')).toEqual(
      expect.arrayContaining([
        'tidemark_projection_ready{projection="notes",version="2"} 0',
        'tidemark_projection_ready{projection="words",version="1"} 1',
      ]),
    );
  });

  it('refuses reads of the view, each with a time to come back, and subscriptions', async () => {
    for (const path of ['/views/notes', '/views/notes/n-1', '/queries/count']) {
      const { status, body, headers } = await get(fresh, path);
      expect([path, status, headers.get('retry-after')]).toEqual([path, 503, '1']);
      expect(body).toMatchObject({ ...building, detail: expect.stringContaining('behind v1 by') });
    }
    await expect(listen(fresh)).rejects.toThrow('projection_building: notes v2 is behind v1');
  });

  it('serves everything else: commands, streams, other views', async () => {
    const token = await write(fresh, 'n-9', 'four five six');
    expect((await get(fresh, '/streams/note/n-9')).status).toBe(200);
    const words = await get(fresh, `/views/words/n-9?after=${token}&wait=30000`);
    expect(words.body).toEqual({ id: 'n-9', words: 3 });
    const words2 = await get(old, `/views/notes/n-9?after=${token}&wait=30000`);
    expect(words2.body).toEqual({ id: 'n-9', text: 'four five six' });
    expect(await (await fetch(`${old.urls.http}/queries/count`)).json()).toEqual({ count: 9 });
  });

  it('is ready once a projector of it is as far; old processes serve theirs all the while', async () => {
    const live = await listen(old);
    const projector = await start(appV2, 'projector');
    await becomesReady(fresh);
    expect((await get(fresh, '/views/notes/n-9')).body).toEqual({
      id: 'n-9',
      text: 'four five six',
      length: 13,
    });
    expect((await get(fresh, '/queries/count')).body).toEqual({ count: 9 });
    expect((await get(old, '/views/notes/n-9')).body).toEqual({ id: 'n-9', text: 'four five six' });
    const token = await write(old, 'n-1', 'six');
    const follow = await listen(fresh);
    await follow.until((rows) => rows.size === 9, PATIENCE);
    expect((await get(fresh, `/views/notes/n-1?after=${token}&wait=30000`)).body).toMatchObject({
      length: 3,
    });
    await live.until((rows) => (rows.get('n-1') as { text?: string })?.text === 'six', PATIENCE);
    await expect
      .poll(() =>
        db.query(
          `SELECT ready_at IS NOT NULL FROM tidemark.projections WHERE name = 'notes' AND version = 2`,
        ),
      )
      .toEqual([[true]]);
    await Promise.all([live.close(), follow.close()]);
    await stop(projector);
    await stop(fresh);
  });
});

describe('once the new version was served', () => {
  it('a restart of it waits for nobody who is not further', async () => {
    const again = await start(appV2, 'api,projector');
    await becomesReady(again);
    await stop(again);
  });

  it('old code that is started again while the new one is ahead waits until it has caught up', async () => {
    const old = open[0];
    if (old) await stop(old);
    const ahead = await start(appV2, 'api,projector');
    const token = await write(ahead, 'n-2', 'only in v2');
    expect((await get(ahead, `/views/notes/n-2?after=${token}&wait=30000`)).status).toBe(200);
    const back = await start(appV1, 'api');
    expect((await readyz(back)).body.reasons).toEqual([
      expect.stringMatching(/^notes v1 is behind v2 by \d+ event/),
    ]);
    expect((await get(back, '/views/notes/n-2')).body).toMatchObject(building);
    const projector = await start(appV1, 'projector');
    await becomesReady(back);
    expect((await get(back, '/views/notes/n-2')).body).toEqual({ id: 'n-2', text: 'only in v2' });
    for (const one of [ahead, projector, back]) await stop(one);
  });
});

describe('operators', () => {
  it('pause it: reads go on, and those that wait for more are told at once; so is who reads elsewhere of a shard that stands still', async () => {
    const projector = await start(appV2, 'projector');
    const api = await start(appV2, 'api');
    await becomesReady(api);
    await pauseProjection(db, NotesV2);
    await expect
      .poll(async () => (await readyz(api)).body.projections['notes']?.state, { timeout: 60_000 })
      .toBe('paused');
    const token = await write(api, 'n-3', 'while it pauses');
    const since = performance.now();
    const paused = await get(api, `/views/notes/n-3?after=${token}&wait=30000`);
    expect(paused.body).toMatchObject({ code: 'projection_paused' });
    expect(performance.now() - since).toBeLessThan(29_000);
    expect((await get(api, '/views/notes/n-3')).status).toBe(200);
    expect((await readyz(api)).body).toMatchObject({
      ready: true,
      reasons: ['projection notes v2 is paused'],
    });
    await resumeProjection(db, NotesV2);
    expect((await get(api, `/views/notes/n-3?after=${token}&wait=30000`)).body).toMatchObject({ length: 15 });

    const lost = await write(api, 'n-4', 'too much for v2');
    const halted = await get(api, `/views/notes/n-4?after=${lost}&wait=30000`);
    expect(halted.body).toMatchObject({ code: 'projection_halted' });
    expect((await readyz(api)).body).toMatchObject({
      ready: true,
      projections: { notes: { state: 'halted', ready: true } },
      reasons: [expect.stringMatching(/^projection notes v2 halted: note\.Written .*v2 cannot fold this/)],
    });
    for (const one of [projector, api]) await stop(one);
  });

  it('are warned when the last projector goes of a version that others go on to serve', async () => {
    const lines: { level: string; msg: string; projection?: string }[] = [];
    const logger = createLogger({
      level: 'warn',
      destination: { write: (line: string) => void lines.push(JSON.parse(line)) },
    });
    const api = await start(appV1, 'api');
    const first = await start(appV1, 'projector', logger);
    const second = await start(appV1, 'projector', logger);
    const warned = () =>
      lines.filter(({ msg }) => msg.includes('no projector of it is left')).map(({ msg }) => msg);
    await stop(first);
    expect(warned()).toEqual([]);
    await stop(second);
    expect(warned()).toEqual([
      '1 process serves notes v1, and no projector of it is left: its rows stand still',
      '1 process serves words v1, and no projector of it is left: its rows stand still',
    ]);
    await stop(api);
  });
});
