/** A page beside the API: what is served, how long it may be kept, what it may do, and what stays as it was. */
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { FastifyInstance } from 'fastify';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { servePage, type PageOptions } from '../../../src/app/http/page/serve.js';
import { createHttpServer } from '../../../src/app/http/server.js';
import { silentLogger, type Logger } from '../../../src/platform/logger.js';
import { hostPolicy, originPolicy } from '../../../src/platform/origins.js';

let dir = '';
let server: FastifyInstance;
const warnings: unknown[] = [];

beforeEach(async () => {
  dir = await mkdtemp(path.join(tmpdir(), 'tidemark-page-'));
  await mkdir(path.join(dir, 'assets'));
  await writeFile(path.join(dir, 'index.html'), '<!doctype html><title>page</title>');
  await writeFile(path.join(dir, 'assets/index-D3kb9x_a.js'), 'void 0;');
  await writeFile(path.join(dir, 'a logo.svg'), '<svg/>');
  await writeFile(path.join(dir, '.env'), 'SECRET=1');
  await writeFile(path.join(dir, 'views'), 'not a view');
  await symlink('/etc/hostname', path.join(dir, 'link.txt'));
  warnings.length = 0;
});
afterEach(async () => {
  await server?.close();
  await rm(dir, { recursive: true, force: true });
});

async function serve(realtime: Partial<PageOptions['realtime']> = {}, trustProxy = false): Promise<string> {
  const access = { origins: originPolicy(), hosts: hostPolicy('0.0.0.0') };
  server = createHttpServer({ logger: silentLogger, access, trustProxy });
  server.get('/views', () => ({ here: 'the API' }));
  const logger = Object.assign(Object.create(silentLogger) as Logger, {
    warn: (about: unknown) => warnings.push(about),
  });
  await servePage(server, {
    app: 'orders',
    dir,
    logger,
    realtime: { port: 4001, url: undefined, ...realtime },
  });
  return server.listen({ host: '127.0.0.1', port: 0 });
}

const connectOf = (answer: Response): string =>
  /connect-src ([^;]+)/.exec(answer.headers.get('content-security-policy') ?? '')?.[1] ?? '';

test('the page is at /, asked for anew each time; what has a hash in its name is kept', async () => {
  const url = await serve();
  const index = await fetch(url);
  expect([index.status, index.headers.get('content-type')]).toEqual([200, 'text/html; charset=utf-8']);
  expect(index.headers.get('cache-control')).toBe('no-cache');
  expect(index.headers.get('x-content-type-options')).toBe('nosniff');
  expect(index.headers.get('content-security-policy')).toMatch(/default-src 'none'.*frame-ancestors 'none'/);
  const etag = index.headers.get('etag') ?? '';
  // By hand: `fetch` adds that nothing of a cache will do.
  expect((await server.inject({ url: '/', headers: { 'if-none-match': etag } })).statusCode).toBe(304);
  const script = await fetch(`${url}/assets/index-D3kb9x_a.js`);
  expect(script.headers.get('cache-control')).toBe('public, max-age=31536000, immutable');
  expect(script.headers.get('content-type')).toMatch(/^(text|application)\/javascript/);
  expect((await fetch(`${url}/a%20logo.svg`)).headers.get('cache-control')).toBe('no-cache');
  expect((await fetch(url, { method: 'HEAD' })).status).toBe(200);
});

test('everything else is as without a page', async () => {
  const url = await serve();
  for (const place of ['/nothing', '/assets', '/assets/', '/.env', '/link.txt']) {
    const answer = await fetch(url + place);
    expect([place, answer.status, answer.headers.get('content-type')]).toEqual([
      place,
      404,
      'application/problem+json',
    ]);
  }
  const posted = await fetch(url, { method: 'POST' });
  expect([posted.status, posted.headers.get('allow')]).toEqual([405, 'GET, HEAD, OPTIONS']);
  // A route goes first.
  expect(await (await fetch(`${url}/views`)).json()).toEqual({ here: 'the API' });
  expect(warnings).toEqual([{ file: 'views', route: '/views' }]);
});

test('is public: a build asks for its scripts with an Origin, which may be on no list', async () => {
  const url = await serve();
  const headers = { origin: 'http://10.1.2.3:3000' };
  for (const place of ['/', '/assets/index-D3kb9x_a.js', '/a%20logo.svg', '/tidemark.json']) {
    const answer = await fetch(url + place, { headers });
    expect([place, answer.status]).toEqual([place, 200]);
    // Served, and not given to another page to read.
    expect(answer.headers.get('access-control-allow-origin')).toBeNull();
    expect(answer.headers.get('vary')).toBe('Origin');
    expect((await fetch(url + place, { headers, method: 'HEAD' })).status).toBe(200);
  }
  expect((await fetch(`${url}/assets/none-D3kb9x_a.js`, { headers })).status).toBe(404);
  for (const [place, method] of [
    ['/views', 'GET'],
    ['/nothing', 'GET'],
    ['/', 'POST'],
    ['/', 'OPTIONS'],
  ] as const) {
    const answer = await fetch(url + place, { headers, method });
    expect([place, method, answer.status]).toEqual([place, method, 403]);
  }
  // A name that is not ours is nobody's.
  await server.close();
  const local = createHttpServer({
    logger: silentLogger,
    access: { origins: originPolicy(), hosts: hostPolicy('127.0.0.1') },
  });
  server = local;
  await servePage(local, { app: 'orders', dir, logger: silentLogger, realtime: { port: 1, url: undefined } });
  const rebound = await local.inject({ url: '/', headers: { host: 'evil.example' } });
  expect([rebound.statusCode, rebound.json()]).toMatchObject([403, { code: 'forbidden_host' }]);
});

test('a file that goes while it is served is not found', async () => {
  const url = await serve();
  await rm(path.join(dir, 'assets/index-D3kb9x_a.js'));
  const answer = await fetch(`${url}/assets/index-D3kb9x_a.js`);
  expect(answer.status).toBe(404);
  expect(await answer.json()).toMatchObject({ code: 'route_not_found' });
  // Not to be kept: the next build may have it again.
  expect(answer.headers.get('cache-control')).toBe('no-store');
});

test('a page that is built anew while it is served brings its assets along, and nothing else', async () => {
  const url = await serve();
  await writeFile(path.join(dir, 'index.html'), '<!doctype html><title>new</title>');
  await mkdir(path.join(dir, 'assets/fonts'));
  await writeFile(path.join(dir, 'assets/index-Zq81kd0B.js'), 'void 1;');
  await writeFile(path.join(dir, 'assets/fonts/f.woff2'), 'font');
  await writeFile(path.join(dir, 'assets/.env'), 'SECRET=1');
  await symlink('/etc', path.join(dir, 'assets/etc'));
  await writeFile(path.join(dir, 'late.txt'), 'late');
  expect(await (await fetch(url)).text()).toContain('new');
  const script = await fetch(`${url}/assets/index-Zq81kd0B.js`);
  expect(await script.text()).toBe('void 1;');
  expect(script.headers.get('cache-control')).toBe('public, max-age=31536000, immutable');
  expect(script.headers.get('content-security-policy')).toContain("default-src 'none'");
  expect((await fetch(`${url}/assets/fonts/f.woff2`)).headers.get('cache-control')).toBe('no-cache');
  const others = [
    '/late.txt',
    '/assets/.env',
    '/assets/etc/hostname',
    '/assets/fonts',
    '/assets/none-D3kb9x_a.js',
    '/assets/%2e%2e%2findex.html',
    '/assets/..%5cindex.html',
    '/assets/fonts//f.woff2',
    '/assets/a%00b.js',
  ];
  for (const place of others) {
    const answer = await server.inject({ url: place });
    expect([place, answer.statusCode, answer.json()]).toEqual([
      place,
      404,
      expect.objectContaining({ code: 'route_not_found' }),
    ]);
    expect(answer.headers['cache-control']).toBe('no-store');
  }
});

test('it may call this server and the realtime socket of the same host, and is told its port', async () => {
  const url = await serve();
  expect(connectOf(await fetch(url))).toBe("'self' ws://127.0.0.1:4001 http://127.0.0.1:4001");
  expect(connectOf(await fetch(url.replace('127.0.0.1', 'localhost')))).toContain('ws://localhost:4001');
  const told = await fetch(`${url}/tidemark.json`);
  expect(await told.json()).toEqual({ app: 'orders', realtime: { port: 4001, path: '/realtime' } });
});

test('behind a proxy: https is wss, and a place of its own is told as it is', async () => {
  const url = await serve({}, true);
  const forwarded = { 'x-forwarded-proto': 'https', 'x-forwarded-host': 'shop.example' };
  expect(connectOf(await fetch(url, { headers: forwarded }))).toBe(
    "'self' wss://shop.example:4001 https://shop.example:4001",
  );
  // What is no host name does not get into the policy.
  const odd = { 'x-forwarded-host': "shop.example; script-src 'unsafe-inline'" };
  expect(connectOf(await fetch(url, { headers: odd }))).toBe("'self'");
  await server.close();
  const other = await serve({ url: 'wss://live.example/realtime' });
  expect(connectOf(await fetch(other))).toBe("'self' wss://live.example https://live.example");
  expect(await (await fetch(`${other}/tidemark.json`)).json()).toEqual({
    app: 'orders',
    realtime: { url: 'wss://live.example/realtime' },
  });
});

test('a folder without a page is refused', async () => {
  await rm(path.join(dir, 'index.html'));
  await expect(serve()).rejects.toMatchObject({
    code: 'invalid_page',
    message: expect.stringContaining('index.html'),
  });
  await server.close();
  dir = path.join(dir, 'nowhere');
  await expect(serve()).rejects.toMatchObject({ code: 'invalid_page' });
});
