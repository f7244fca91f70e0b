/** One application in several processes: a role each, on one database; and a projection that halts. */
import { aggregate, defineApp, projection } from 'tidemark';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { loadConfig } from '../../../src/app/config.js';
import type { Readiness } from '../../../src/app/http/operations-http.js';
import { createRuntime, type Runtime } from '../../../src/app/runtime.js';
import { silentLogger } from '../../../src/platform/logger.js';
import { subscribeTo } from '../../../src/testing/subscription.js';
import { freshDatabase, type FreshDatabase } from '../../support/postgres.js';

const Note = aggregate('note', {
  state: z.object({ count: z.int() }),
  initial: { count: 0 },
  events: { Written: z.object({ text: z.string() }) },
  commands: { write: z.object({ text: z.string() }) },
})
  .evolve({ Written: (state) => ({ count: state.count + 1 }) })
  .decide({ write: (_state, input, { emit }) => emit('Written', input) });

const Notes = projection('notes', {
  version: 1,
  row: z.object({ id: z.string(), text: z.string() }),
  key: 'id',
}).on(Note, { fold: { Written: (_row, { data }) => ({ text: data.text }) } });

const Fragile = projection('fragile', {
  version: 1,
  row: z.object({ id: z.string(), length: z.int() }),
  key: 'id',
  parking: false,
}).on(Note, {
  fold: {
    Written: (_row, { data }) => {
      if (data.text === 'boom') throw new Error('a fold that cannot go on');
      return { length: data.text.length };
    },
  },
});

const app = defineApp({ auth: 'none', name: 'notes', aggregates: [Note], projections: [Notes, Fragile] });
const PATIENCE = 60_000;
let postgres: FreshDatabase;
const open: Runtime[] = [];

async function start(roles: string): Promise<Runtime> {
  const env = { DATABASE_URL: postgres.url, PORT: '0', REALTIME_PORT: '0', TIDEMARK_ROLES: roles };
  const runtime = createRuntime(app, loadConfig(env), { logger: silentLogger });
  open.push(runtime);
  await runtime.start();
  return runtime;
}

const stopAll = (): Promise<void[]> => Promise.all(open.splice(0).map((runtime) => runtime.stop()));

beforeAll(async () => {
  postgres = await freshDatabase();
});
afterAll(async () => {
  await stopAll();
  await postgres.drop();
});

async function write(api: Runtime, id: string, text: string): Promise<string> {
  const answer = await fetch(`${api.urls.http}/commands/note/${id}/write`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ text }),
  });
  expect(answer.status).toBe(200);
  return ((await answer.json()) as { token: string }).token;
}

const readiness = async (runtime: Runtime): Promise<Readiness> =>
  (await (await fetch(`${runtime.urls.http}/readyz`)).json()) as Readiness;

const metrics = async (runtime: Runtime): Promise<string> =>
  (await fetch(`${runtime.urls.http}/metrics`)).text();

describe('a role per process', () => {
  it('starts together, carries a change from the API to a subscriber, and each measures its part', async () => {
    // All at once: they migrate and make tables side by side.
    const [api, projector, gateway] = await Promise.all([start('api'), start('projector'), start('gateway')]);
    const live = await subscribeTo<{ id: string; text: string }>(gateway.urls.realtime ?? '', 'notes', {});
    await write(api, 'n-1', 'first');
    await live.until((rows) => rows.get('n-1')?.text === 'first', PATIENCE);
    const token = await write(api, 'n-1', 'second');
    const row = await fetch(`${api.urls.http}/views/notes/n-1?after=${token}&wait=30000`);
    expect(await row.json()).toEqual({ id: 'n-1', text: 'second' });
    await live.until((rows) => rows.get('n-1')?.text === 'second', PATIENCE);

    expect(await metrics(gateway)).toMatch(/^tidemark_sockets 1$/m);
    expect(await metrics(gateway)).toMatch(/^tidemark_subscriptions\{view="notes"\} 1$/m);
    // It hears of its commit after others may have seen what is in it.
    await expect
      .poll(() => metrics(projector))
      .toMatch(/^tidemark_projection_events_total\{projection="notes"\} 2$/m);
    for (const runtime of [api, projector, gateway]) {
      await expect
        .poll(async () => (await readiness(runtime)).projections['notes'])
        .toMatchObject({ lag: 0 });
    }
    await live.close();
    await expect.poll(() => metrics(gateway)).toMatch(/^tidemark_sockets 0$/m);
  });

  it('what was written while no projector ran is there once one does', async () => {
    await stopAll();
    const api = await start('api');
    const token = await write(api, 'n-2', 'alone');
    const behind = await fetch(`${api.urls.http}/views/notes/n-2?after=${token}&wait=0`);
    expect(behind.status).toBe(503);
    expect(await behind.json()).toMatchObject({ code: 'projection_behind' });
    await expect
      .poll(async () => (await readiness(api)).projections['notes']?.lag, { timeout: 60_000 })
      .toBe(1);
    expect((await readiness(api)).ready).toBe(true);
    await start('projector');
    const row = await fetch(`${api.urls.http}/views/notes/n-2?after=${token}&wait=30000`);
    expect(await row.json()).toEqual({ id: 'n-2', text: 'alone' });
  });
});

describe('a projection that halts', () => {
  it('is told, and takes nobody else down', async () => {
    await stopAll();
    const all = await start('api,projector,gateway');
    const lost = await write(all, 'n-3', 'boom');
    const halted = { state: 'halted', version: 1, lag: expect.any(Number) };
    await expect
      .poll(async () => (await readiness(all)).projections['fragile'], { timeout: 60_000 })
      .toMatchObject(halted);
    const report = await readiness(all);
    expect(report.ready).toBe(true);
    expect(report.reasons).toEqual([expect.stringContaining('projection fragile v1 halted')]);
    expect(await metrics(all)).toMatch(
      /^tidemark_projection_state\{projection="fragile",version="1",state="halted"\} 1$/m,
    );
    expect(await metrics(all)).toMatch(/^tidemark_projection_halts_total\{projection="fragile"\} 1$/m);

    const token = await write(all, 'n-4', 'after it');
    const good = await fetch(`${all.urls.http}/views/notes/n-4?after=${token}&wait=30000`);
    expect(await good.json()).toEqual({ id: 'n-4', text: 'after it' });
    const bad = await fetch(`${all.urls.http}/views/fragile/n-3?after=${lost}&wait=30000`);
    expect([bad.status, ((await bad.json()) as { code: string }).code]).toEqual([503, 'projection_halted']);
    const lag = /^tidemark_projection_lag_events\{projection="fragile",version="1"\} (\d+)$/m;
    await expect
      .poll(async () => Number(lag.exec(await metrics(all))?.[1]), { timeout: 60_000 })
      .toBeGreaterThan(0);
  });
});
