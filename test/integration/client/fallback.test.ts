/** A network that lets no WebSocket through, and later does: what is shown is what the view is, all the way. */
import { createServer, request, type Server } from 'node:http';
import { connect, type AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { createClient } from 'tidemark/client';
import { webSocketOrSse } from 'tidemark/client/sse';
import { testApp, type TestApp } from 'tidemark/testing';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import orders from '../../../examples/orders/app.js';
import { Order } from '../../../examples/orders/order.js';
import { until } from '../../support/client/until.js';
import { freshDatabase, type FreshDatabase } from '../../support/postgres.js';

/** An HTTP proxy as offices have them: requests go through as they come, upgrades as it is told. */
class Office {
  upgrades: 'pass' | 'refuse' = 'refuse';
  /** Requests for a stream, and sockets that were let through, so far. */
  streams = 0;
  sockets = 0;
  readonly #server: Server;
  readonly #lines = new Set<Duplex>();

  constructor(target: URL) {
    const { hostname, port } = target;
    this.#server = createServer((from, to) => {
      this.streams++;
      const onward = request({ hostname, port, path: from.url, method: from.method, headers: from.headers });
      onward.on('response', (answer) => {
        to.writeHead(answer.statusCode ?? 502, answer.headers);
        answer.pipe(to);
      });
      onward.on('error', () => to.destroy());
      to.on('close', () => onward.destroy());
      from.pipe(onward);
    });
    this.#server.on('connection', (line) => this.#keep(line));
    this.#server.on('upgrade', (from, line, head) => {
      line.on('error', () => undefined);
      if (this.upgrades === 'refuse') return line.end('HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n');
      this.sockets++;
      const onward = this.#keep(connect(Number(port), hostname));
      const headers = from.rawHeaders.flatMap((name, at, all) =>
        at % 2 === 1 ? [] : [`${name}: ${all[at + 1]}`],
      );
      onward.write(`GET ${from.url} HTTP/1.1\r\n${headers.join('\r\n')}\r\n\r\n`);
      onward.write(head);
      onward.pipe(line).pipe(onward);
    });
  }

  #keep<Line extends Duplex>(line: Line): Line {
    this.#lines.add(line);
    line.on('error', () => undefined).on('close', () => this.#lines.delete(line));
    return line;
  }

  async listen(): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    return `ws://127.0.0.1:${(this.#server.address() as AddressInfo).port}/realtime`;
  }

  close(): void {
    for (const line of this.#lines) line.destroy();
    this.#server.close();
  }
}

let pg: FreshDatabase;
let app: TestApp;
const ends: (() => void)[] = [];
beforeAll(async () => {
  pg = await freshDatabase();
  app = await testApp(orders, { databaseUrl: pg.url });
});
afterAll(async () => {
  for (const end of ends) end();
  await app?.close();
  await pg?.drop();
});

const line = { sku: 'tea', quantity: 1, unitPriceCents: 100 };
const place = (id: string) => app.execute(Order, id, 'place', { customerId: 'c-office', lines: [line] });

test('a proxy that refuses upgrades: rows are live by streams, and by a socket once one passes', async () => {
  const office = new Office(new URL(app.urls.realtime ?? ''));
  const client = createClient<typeof orders>({
    url: app.urls.http,
    realtimeUrl: await office.listen(),
    WebSocket: webSocketOrSse({ WebSocket, retrySocketMs: 20 }),
    backoff: { minMs: 5, maxMs: 50 },
  });
  ends.push(
    () => client.close(),
    () => office.close(),
  );
  const where = { customerId: 'c-office' };
  const seen: string[] = [];
  const note = (rows: readonly (readonly [string, ...unknown[]])[]): void => {
    seen.push(...rows.map(([key]) => key));
  };
  const watched = client.subscribe('order_summary', { where }, { snapshot: note, changes: note });
  const store = client.live('order_summary', { where });
  await place('f-1');
  await until(store, () => store.status === 'live' && store.rows.length === 1);
  expect([office.streams > 0, office.sockets]).toEqual([true, 0]);
  office.upgrades = 'pass';
  await place('f-2');
  // One that is tried, and one that is used.
  await until(undefined, () => office.sockets >= 2 && store.status === 'live');
  const { streams } = office;
  await place('f-3');
  await until(store, () => store.rows.length === 3);
  await until(undefined, () => seen.length >= 3);
  expect(seen).toEqual(['f-1', 'f-2', 'f-3']);
  expect([office.streams, watched.status]).toEqual([streams, 'live']);
});
