/** Who gets at `/ops/…`: callers on the machine itself, by a loopback address and name, without a proxy, and no form of a page. */
import { networkInterfaces } from 'node:os';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { loadConfig } from '../../../src/app/config.js';
import { createRuntime, type Runtime } from '../../../src/app/runtime.js';
import { silentLogger } from '../../../src/platform/logger.js';
import { defineApp, type AnyApp } from '../../../src/domain/app.js';
import { Account, Accounts, bank, Owners, SHARDS } from '../../support/bank.js';
import { freshDatabase, type FreshDatabase } from '../../support/postgres.js';
import { request, type RawAnswer } from '../../support/raw-http.js';

let pg: FreshDatabase;
let runtime: Runtime;
let port = 0;

async function start(env: Record<string, string>, app: AnyApp = bank): Promise<Runtime> {
  const config = loadConfig({ DATABASE_URL: pg.url, PORT: '0', REALTIME_PORT: '0', ...env });
  const made = createRuntime(app, config, { logger: silentLogger });
  await made.start();
  return made;
}

beforeAll(async () => {
  pg = await freshDatabase();
  // Every proxy is believed: that must not open anything.
  runtime = await start({ TIDEMARK_TRUST_PROXY: 'true', TIDEMARK_HOSTS: 'shop.example' });
  port = Number(new URL(runtime.urls.http).port);
});
afterAll(async () => {
  await runtime?.stop();
  await pg?.drop();
});

const codeOf = ({ status, body }: RawAnswer): [number, unknown] => [
  status,
  (JSON.parse(body) as { code?: string }).code,
];
const get = (headers: readonly string[] = [], host?: string): Promise<RawAnswer> =>
  request(port, 'GET', '/ops/projections', { headers, ...(host === undefined ? {} : { host }) });

test('a caller on the machine', async () => {
  for (const host of ['localhost', `127.0.0.1:${port}`, `[::1]:${port}`]) {
    const { status, headers } = await get([], host);
    expect([status, headers['cache-control']]).toEqual([200, 'no-store']);
  }
});

test.each([
  'X-Forwarded-For: 127.0.0.1',
  'X-Forwarded-For:',
  'x-forwarded-host: localhost',
  'X-Forwarded-Proto: https',
  'X-Forwarded: for=127.0.0.1',
  'Forwarded: for=127.0.0.1',
  'X-Real-IP: 127.0.0.1',
  'CF-Connecting-IP: 127.0.0.1',
  'Via: 1.1 proxy',
])('not what came through a proxy: %s', async (header) => {
  expect(codeOf(await get([header]))).toEqual([403, 'loopback_only']);
  const posted = await request(port, 'POST', '/ops/projections/accounts/verify', { headers: [header] });
  expect(codeOf(posted)).toEqual([403, 'loopback_only']);
});

test('not under a name that leads here from elsewhere, though the server answers to it', async () => {
  expect((await request(port, 'GET', '/livez', { host: 'shop.example' })).status).toBe(200);
  expect(codeOf(await get([], 'shop.example'))).toEqual([403, 'loopback_only']);
  expect(codeOf(await get([], 'evil.example'))).toEqual([403, 'forbidden_host']);
});

test('not a page of another site', async () => {
  expect(codeOf(await get(['Origin: https://evil.example']))).toEqual([403, 'forbidden_origin']);
});

describe('a form of a page, which asks nobody before it is sent, is refused before its body is read:', () => {
  const post = (headers: readonly string[], body?: string): Promise<RawAnswer> =>
    request(port, 'POST', '/ops/projections/accounts/verify', {
      headers,
      ...(body === undefined ? {} : { body }),
    });

  test.each([
    ['application/x-www-form-urlencoded', 'a=1'],
    ['application/x-www-form-urlencoded', ''],
    ['multipart/form-data; boundary=x', '--x--'],
    ['text/plain', '{"sample":1}'],
    ['text/plain', ''],
    ['application/jsonx', '{}'],
  ])('%s with %j', async (type, body) => {
    expect(codeOf(await post([`Content-Type: ${type}`], body))).toEqual([415, 'unsupported_media_type']);
  });

  test('while JSON and no body at all get through', async () => {
    expect((await post([])).status).toBe(200);
    expect((await post(['Content-Type: application/json'], '')).status).toBe(200);
    expect((await post(['Content-Type: application/json; charset=utf-8'], '{"sample":1}')).status).toBe(200);
  });
});

const outside = Object.values(networkInterfaces())
  .flat()
  .find((address) => address?.internal === false && address.family === 'IPv4')?.address;

test.skipIf(outside === undefined)('not a caller by another address of the machine', async () => {
  // With everything open, nobody else can reach the port at all.
  const HOST = outside ?? '';
  await expect(start({ HOST, TIDEMARK_ROLES: 'relay' })).rejects.toMatchObject({ code: 'rights_off' });
  const ruled = defineApp({
    name: 'bank',
    aggregates: [Account],
    projections: [Accounts, Owners],
    shards: SHARDS,
    auth: {
      authenticate: ({ token }) => ({ id: token, claims: {} }),
      anonymous: { id: 'guest', claims: {} },
      operate: ({ principal }) => principal.id === 'operator',
    },
  });
  const open = await start({ HOST, TIDEMARK_ROLES: 'relay' }, ruled);
  try {
    expect((await fetch(`${open.urls.http}/livez`)).status).toBe(200);
    const ask = (headers: Record<string, string>): Promise<Response> =>
      fetch(`${open.urls.http}/ops/projections`, { headers });
    for (const headers of [{}, { host: 'localhost' }, { 'x-forwarded-for': '127.0.0.1' }]) {
      const answer = await ask(headers);
      expect(answer.status).toBe(403);
      expect(await answer.json()).toMatchObject({ code: 'forbidden' });
    }
    expect((await ask({ authorization: 'Bearer operator' })).status).toBe(200);
  } finally {
    await open.stop();
  }
});

test('on every process, whatever its roles', async () => {
  const other = await start({ TIDEMARK_ROLES: 'gateway' });
  try {
    expect((await fetch(`${other.urls.http}/ops/projections`)).status).toBe(200);
  } finally {
    await other.stop();
  }
});
