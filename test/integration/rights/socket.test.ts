/** Rights over HTTP and the socket of one application: the same rows, cursors that pass from one to the other, no token anywhere. */
import { defineApp, jwt } from 'tidemark';
import { testApp, type TestApp } from 'tidemark/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createLogger } from '../../../src/platform/logger.js';
import type { Principal } from '../../../src/domain/rights.js';
import { CLOSE_CODES } from '../../../src/protocol/frames.js';
import { forged, SECRET, signed, soon } from '../../support/jwt.js';
import { freshDatabase, type FreshDatabase } from '../../support/postgres.js';
import { Board, Card } from '../../support/realtime/board.js';
import { LiveClient } from '../../support/realtime/stack.js';

const app = defineApp({
  name: 'boards',
  aggregates: [Card],
  projections: [Board],
  auth: {
    authenticate: jwt({ secret: SECRET }),
    cookie: 'session',
    commands: { '*': true },
    views: { board: ({ principal }: { readonly principal: Principal }) => ({ list: principal.id }) },
  },
});

let pg: FreshDatabase;
let running: TestApp;
const log: string[] = [];
const clients: LiveClient[] = [];
beforeAll(async () => {
  pg = await freshDatabase();
  const logger = createLogger({ level: 'trace', destination: { write: (line) => void log.push(line) } });
  running = await testApp(app, { databaseUrl: pg.url, logger });
});
afterAll(async () => {
  for (const client of clients) client.socket.ws.terminate();
  await running.close();
  await pg.drop();
});

const set = (id: string, list: string): Promise<unknown> =>
  running.as({ id: list }).execute(Card, id, 'set', { list, done: null, note: '' });
const connect = async (headers: Record<string, string> = {}): Promise<LiveClient> => {
  const client = await LiveClient.connect(Number(new URL(running.urls.realtime ?? '').port), { headers });
  clients.push(client);
  return client;
};

describe('one application', () => {
  it('a subscription goes on from the cursor of a read by the same principal, and of nobody else', async () => {
    const [ann, bob] = [await signed(), await signed({ sub: 'bob' })];
    const watching = await running.as({ id: 'ann' }).subscribe(Board);
    await set('a-1', 'ann');
    await set('b-1', 'bob');
    await running.caughtUp();
    const read = await fetch(`${running.urls.http}/views/board`, {
      headers: { authorization: `Bearer ${ann}` },
    });
    expect(await read.json()).toMatchObject({ items: [{ id: 'a-1' }] });
    const from = read.headers.get('tidemark-cursor') ?? '';
    await set('a-2', 'ann');
    await set('b-2', 'bob');
    await running.caughtUp();
    // The gateway has read it too: else it would come after `live`.
    await watching.until((rows) => rows.has('a-2'), 60_000);
    const client = await connect({ cookie: `session=${ann}` });
    client.send({ t: 'sub', id: 's', view: 'board', from });
    await client.next('live');
    expect(client.frames.map(({ t }) => t)).toEqual(['welcome', 'authed', 'chg', 'live']);
    expect(client.socket.received.join('')).toContain('"a-2"');
    expect(client.socket.received.join('')).not.toMatch(/"[ab]-1"|"b-2"/);
    const other = await connect({ authorization: `Bearer ${bob}` });
    other.send({ t: 'sub', id: 's', view: 'board', from });
    expect(await other.next('err')).toMatchObject({ id: 's', code: 'invalid_cursor' });
  });

  it('a token tells when it is over, and one that is no good never gets in, nor into a log or a metric', async () => {
    const [good, old] = [await signed(), await signed({ exp: soon(-60) })];
    const forgery = forged({ alg: 'none' }, {});
    const tried = async (token: string): Promise<number> => {
      const client = await connect();
      client.send({ t: 'auth', token });
      return (await client.socket.closed).code;
    };
    expect(await tried(old)).toBe(CLOSE_CODES.token_expired.code);
    expect(await tried(forgery)).toBe(CLOSE_CODES.unauthenticated.code);
    const client = await connect();
    client.send({ t: 'auth', token: good });
    const { expiresAt } = await client.next('authed');
    expect(Math.abs((expiresAt ?? 0) - 1_000 * soon())).toBeLessThan(30_000);
    client.send({ t: 'auth', token: forgery });
    await client.next('err', ({ code }) => code === 'auth_refused');
    const read = async () => (await fetch(`${running.urls.http}/metrics`)).text();
    // A server has done with a socket a moment after its client has.
    await expect.poll(read).toMatch(/^tidemark_sockets_by_state\{state="waiting"\} 0$/m);
    const metrics = await read();
    expect(metrics).toMatch(/^tidemark_socket_auth_failures_total\{reason="token_expired"\} 1$/m);
    expect(metrics).toMatch(/^tidemark_socket_auth_failures_total\{reason="unauthenticated"\} 2$/m);
    const said = [metrics, ...log, ...clients.flatMap(({ socket }) => socket.received)].join('\n');
    for (const token of [good, old, forgery]) {
      // Neither whole nor its signature.
      expect(said).not.toContain(token);
      expect(said).not.toContain(token.split('.')[2] || token);
    }
  });
});
