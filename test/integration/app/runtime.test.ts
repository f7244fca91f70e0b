/** A process as a whole: starts, serves, tells how it is, stops; on a real Postgres. */
import { once } from 'node:events';
import { connect, createServer, type AddressInfo } from 'node:net';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import orders from '../../../examples/orders/app.js';
import { loadConfig, ROLES } from '../../../src/app/config.js';
import type { Readiness } from '../../../src/app/http/operations-http.js';
import { createRuntime, type Runtime } from '../../../src/app/runtime.js';
import { createLogger, silentLogger } from '../../../src/platform/logger.js';
import { startFlakyProxy } from '../../support/flaky-proxy.js';
import { freshDatabase, type FreshDatabase } from '../../support/postgres.js';

const LINES = [{ sku: 'tea', quantity: 2, unitPriceCents: 450 }];
let postgres: FreshDatabase;

beforeAll(async () => {
  postgres = await freshDatabase();
});
afterAll(() => postgres.drop());

const configOf = (env: Record<string, string> = {}) =>
  loadConfig({ DATABASE_URL: postgres.url, PORT: '0', REALTIME_PORT: '0', ...env });

const runtimeOf = (env: Record<string, string> = {}, logger = silentLogger): Runtime =>
  createRuntime(orders, configOf(env), { logger, checkQueryOutput: true });

async function running<T>(env: Record<string, string>, use: (runtime: Runtime) => Promise<T>): Promise<T> {
  const runtime = runtimeOf(env);
  await runtime.start();
  try {
    return await use(runtime);
  } finally {
    await runtime.stop();
  }
}

const place = (runtime: Runtime, id: string): Promise<Response> =>
  fetch(`${runtime.urls.http}/commands/order/${id}/place`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ customerId: 'c-1', lines: LINES }),
  });

async function readyz(runtime: Runtime): Promise<{ status: number; body: Readiness }> {
  const answer = await fetch(`${runtime.urls.http}/readyz`);
  return { status: answer.status, body: (await answer.json()) as Readiness };
}

async function connections(): Promise<number> {
  const client = new pg.Client({ connectionString: postgres.url });
  await client.connect();
  const { rows } = await client.query<{ n: number }>(
    `SELECT count(*)::int AS n FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE 'tidemark:%'`,
  );
  await client.end();
  return rows[0]?.n ?? -1;
}

/** A backend is there for a moment after its connection was ended; one that nobody ends is there for 30 seconds. */
const noConnections = (): Promise<void> => expect.poll(connections, { timeout: 25_000 }).toBe(0).then();

describe('a process with all roles', () => {
  it('takes an order, and the view has it once the read waits for its token', async () => {
    await running({}, async (runtime) => {
      const answer = await place(runtime, 'o-1');
      expect(answer.status).toBe(200);
      const { token } = (await answer.json()) as { token: string };
      const row = await fetch(`${runtime.urls.http}/views/order_summary/o-1?after=${token}&wait=30000`);
      expect(row.status).toBe(200);
      expect(await row.json()).toMatchObject({ orderId: 'o-1', totalCents: 900, itemCount: 2 });
    });
  });

  it('tells that it is alive and ready, in the shape of the contract', async () => {
    await running({}, async (runtime) => {
      expect(await (await fetch(`${runtime.urls.http}/livez`)).json()).toEqual({ live: true });
      // All of it: the state may be that of a process before, when this one does not know yet how far it is.
      await expect
        .poll(() => readyz(runtime))
        .toEqual({
          status: 200,
          body: {
            ready: true,
            roles: [...ROLES],
            projections: {
              order_summary: { state: 'live', version: 1, lag: 0, ready: true },
              customer_totals: {
                state: expect.any(String),
                version: 1,
                lag: expect.any(Number),
                ready: true,
              },
            },
            reasons: [],
          },
        });
    });
  });

  it('measures what it does', async () => {
    await running({}, async (runtime) => {
      await place(runtime, 'o-2');
      await place(runtime, 'o-2');
      await fetch(`${runtime.urls.http}/nowhere`);
      const lag = /^tidemark_projection_lag_events\{projection="order_summary",version="1"\} \d+$/m;
      const metrics = () => fetch(`${runtime.urls.http}/metrics`);
      expect((await metrics()).headers.get('content-type')).toContain('text/plain');
      for (const line of [
        /^tidemark_commands_total\{aggregate="order",command="place",outcome="appended"\} 1$/m,
        /^tidemark_commands_total\{aggregate="order",command="place",outcome="rejected"\} 1$/m,
        /^tidemark_http_request_seconds_count\{method="POST",route="\/commands\/:aggregate\/:id\/:command",status="200"\} 1$/m,
        /^tidemark_http_request_seconds_count\{method="GET",route="unmatched",status="404"\} 1$/m,
        /^tidemark_events_appended_total\{aggregate="order"\} 1$/m,
        /^tidemark_appends_total \d+$/m,
        /^tidemark_append_batch_seconds_count \d+$/m,
        lag,
        /^process_cpu_seconds_total/m,
        /^nodejs_eventloop_lag_seconds/m,
      ]) {
        // A request is counted when its answer is out; a lag is absent until it was measured.
        await expect.poll(async () => (await metrics()).text()).toMatch(line);
      }
    });
  });

  it('serves its docs from itself, and only under its own names', async () => {
    await running({}, async ({ urls }) => {
      const page = await fetch(urls.docs ?? '');
      expect(page.status).toBe(200);
      expect(page.headers.get('content-security-policy')).toContain("default-src 'none'");
      const html = await page.text();
      expect(html).not.toMatch(/(src|href)="https?:/);
      for (const [, asset] of html.matchAll(/(?:src|href)="\.?([^"]+\.(?:js|css))"/g)) {
        expect((await fetch(new URL(asset ?? '', `${urls.docs}/`))).status, asset).toBe(200);
      }
      const document = (await (await fetch(`${urls.http}/openapi.json`)).json()) as { openapi: string };
      expect(document.openapi).toMatch(/^3\.1/);
      const foreign = await fetch(`${urls.http}/docs`, { headers: { origin: 'https://evil.example' } });
      expect(foreign.status).toBe(403);
    });
  });
});

describe('roles', () => {
  it.each([...ROLES])('%s alone starts, tells how it is, and stops', async (role) => {
    await running({ TIDEMARK_ROLES: role }, async (runtime) => {
      const { status, body } = await readyz(runtime);
      expect([status, body.ready, body.roles]).toEqual([200, true, [role]]);
      expect(Object.keys(body.projections).sort()).toEqual(['customer_totals', 'order_summary']);
      expect((await fetch(`${runtime.urls.http}/metrics`)).status).toBe(200);
      expect((await place(runtime, 'o-1')).status).toBe(role === 'api' ? 409 : 404);
      expect(runtime.urls.docs !== undefined).toBe(role === 'api');
      expect(runtime.urls.realtime !== undefined).toBe(role === 'gateway');
    });
    await noConnections();
  });
});

describe('starting and stopping', () => {
  it('both may be asked for twice, and nothing stays behind', async () => {
    const runtime = runtimeOf();
    await Promise.all([runtime.start(), runtime.start()]);
    await runtime.start();
    const { http } = runtime.urls;
    await Promise.all([runtime.stop(), runtime.stop()]);
    await runtime.stop();
    await expect(fetch(`${http}/livez`)).rejects.toThrow();
    await noConnections();
  });

  it('stopping what never started does nothing', async () => {
    await runtimeOf().stop();
  });

  it.each(['PORT', 'REALTIME_PORT'])('says which variable names a port in use: %s', async (variable) => {
    const other = createServer().listen(0, '127.0.0.1');
    await once(other, 'listening');
    const { port } = other.address() as AddressInfo;
    const runtime = runtimeOf({ [variable]: String(port) });
    await expect(runtime.start()).rejects.toMatchObject({
      code: 'address_in_use',
      message: expect.stringMatching(new RegExp(`^${variable}: 127\\.0\\.0\\.1:${port} is in use`)),
    });
    await runtime.stop();
    await noConnections();
    other.close();
  });

  it('says that the database cannot be reached, without its password', async () => {
    const url = new URL(postgres.url);
    url.password = 'planted-secret';
    url.port = '1';
    const lines: string[] = [];
    const logger = createLogger({ level: 'trace', destination: { write: (line) => void lines.push(line) } });
    const failure = await runtimeOf({ DATABASE_URL: url.href }, logger)
      .start()
      .catch((error: unknown) => error);
    expect(failure).toMatchObject({
      code: 'database_unavailable',
      message: expect.stringMatching(/^DATABASE_URL: postgres:\/\/.*@127\.0\.0\.1:1\/.*ECONNREFUSED/),
    });
    expect(String(failure) + lines.join('')).not.toContain('planted-secret');
  });

  it('says that a database is not there', async () => {
    const url = new URL(postgres.url);
    url.pathname = '/nowhere';
    await expect(runtimeOf({ DATABASE_URL: url.href }).start()).rejects.toMatchObject({
      code: 'database_unavailable',
      message: expect.stringContaining('database "nowhere" does not exist'),
    });
  });

  it('stops its own Postgres last, and also when the start fails', async () => {
    const order: string[] = [];
    const own = (url: string) => ({ url, stop: async () => void order.push('postgres stopped') });
    const { DATABASE_URL: _given, ...env } = { DATABASE_URL: '', PORT: '0', REALTIME_PORT: '0' };
    const good = createRuntime(orders, loadConfig(env), {
      logger: silentLogger,
      embedded: own(postgres.url),
    });
    await good.start();
    const { http } = good.urls;
    await good.stop();
    await expect(fetch(`${http}/livez`)).rejects.toThrow();
    expect(order).toEqual(['postgres stopped']);
    const bad = createRuntime(orders, loadConfig(env), {
      logger: silentLogger,
      embedded: own('postgres://u@127.0.0.1:1/x'),
    });
    await expect(bad.start()).rejects.toMatchObject({ code: 'database_unavailable' });
    expect(order).toEqual(['postgres stopped', 'postgres stopped']);
  });

  it('answers what is under way before it stops, and does not wait for reads that wait', async () => {
    const runtime = runtimeOf({ TIDEMARK_ROLES: 'api' });
    await runtime.start();
    const placed = await place(runtime, 'o-drain');
    const { token } = (await placed.json()) as { token: string };
    // No projector runs: this read would wait for all of its 30 seconds.
    const read = fetch(`${runtime.urls.http}/views/order_summary/o-drain?after=${token}&wait=30000`);
    await expect
      .poll(async () => (await fetch(`${runtime.urls.http}/metrics`)).text())
      .toMatch(/^tidemark_reads_waiting 1$/m);
    const body = JSON.stringify({ customerId: 'c-1', lines: LINES });
    const { port } = new URL(runtime.urls.http);
    const slow = connect(Number(port), '127.0.0.1');
    slow.write(
      `POST /commands/order/o-slow/place HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\n` +
        `Content-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n`,
    );
    // The server has begun with the request once it says "100 Continue".
    const [go] = (await once(slow, 'data')) as [Buffer];
    expect(go.toString()).toContain('100 Continue');
    const stopping = runtime.stop();
    expect((await read).status).toBe(503);
    const answer = once(slow, 'data');
    slow.write(body);
    expect(String((await answer)[0])).toMatch(/^HTTP\/1\.1 200 OK\r\n[^]*connection: close/);
    await stopping;
  });
});

describe('a database that goes away', () => {
  it('leaves the process up; it says so and serves again when the database is back', async () => {
    const proxy = await startFlakyProxy(postgres.url);
    try {
      await running({ DATABASE_URL: proxy.url }, async (runtime) => {
        expect((await readyz(runtime)).status).toBe(200);
        proxy.mode = 'lose-answers';
        await expect
          .poll(() => readyz(runtime), { timeout: 60_000 })
          .toMatchObject({
            status: 503,
            body: { ready: false, reasons: [expect.stringContaining('the database does not answer')] },
          });
        expect((await fetch(`${runtime.urls.http}/livez`)).status).toBe(200);
        const refused = await fetch(`${runtime.urls.http}/views/order_summary/o-1`);
        expect(refused.status).toBe(503);
        expect(await refused.json()).toMatchObject({ code: 'database_unavailable' });
        proxy.mode = 'pass';
        await expect.poll(async () => (await readyz(runtime)).status, { timeout: 60_000 }).toBe(200);
        expect((await place(runtime, 'o-again')).status).toBe(200);
      });
    } finally {
      await proxy.stop();
    }
  });
});
