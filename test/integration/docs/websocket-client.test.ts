/** The small client of docs/websocket.md, as it stands there, on a running application: drops, bad answers, an end. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { testApp, type TestApp } from 'tidemark/testing';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { WebSocket } from 'ws';
import orders from '../../../examples/orders/app.js';
import { Order } from '../../../examples/orders/order.js';
import { OrderSummary } from '../../../examples/orders/order-summary.js';
import { blockWith } from '../../support/docs/blocks.js';
import { freshDatabase, type FreshDatabase } from '../../support/postgres.js';

interface Followed {
  readonly rows: ReadonlyMap<string, { readonly status: string }>;
  stop(): void;
}
type Follow = (
  url: string | undefined,
  sub: object,
  changed: (rows: Followed['rows']) => void,
  failed?: (why: unknown) => void,
) => Followed;

/** Sockets that the client has opened. */
const sockets: WebSocket[] = [];
class SeenSocket extends WebSocket {
  constructor(url: string, protocol: string) {
    super(url, protocol);
    sockets.push(this);
  }
}

let folder: string;
let follow: Follow;
let pg: FreshDatabase;
let app: TestApp;

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'tidemark-docs-'));
  const file = path.join(folder, 'client.mjs');
  await writeFile(file, await blockWith('docs/websocket.md', 'js', 'export function follow'));
  vi.stubGlobal('WebSocket', SeenSocket);
  const module = (await import(pathToFileURL(file).href)) as { follow: Follow };
  follow = module.follow;
  pg = await freshDatabase();
  app = await testApp(orders, { databaseUrl: pg.url });
});
afterAll(async () => {
  vi.unstubAllGlobals();
  await app?.close();
  await pg?.drop();
  await rm(folder, { recursive: true, force: true });
});

const lines = [{ sku: 'tea', quantity: 1, unitPriceCents: 100 }];
const place = (id: string, customerId: string) => app.execute(Order, id, 'place', { customerId, lines });

/** Follows a filter of orders; `until` resolves once the rows are as asked, looked at on every change. */
function watch(where: object) {
  let look = (): void => undefined;
  const client = follow(app.urls.realtime, { view: 'order_summary', where }, () => look());
  const listed = (): string[] => [...client.rows].map(([key, { status }]) => `${key} ${status}`).sort();
  const until = (expected: readonly string[]): Promise<void> =>
    new Promise((resolve) => {
      look = () => {
        if (listed().join() === expected.join()) resolve();
      };
      look();
    });
  return { client, until };
}

test('it follows a filter, also over dropped connections', async () => {
  await place('a-1', 'c-a');
  const all = watch({ customerId: 'c-a' });
  await all.until(['a-1 placed']);
  for (let n = 2; n <= 9; n++) {
    // Cut without a goodbye: the client comes back with its position.
    if (n % 3 === 0) sockets.at(-1)?.terminate();
    await place(`a-${n}`, 'c-a');
    if (n % 2 === 0) await app.execute(Order, `a-${n}`, 'pay', { paymentId: 'p' });
    await place(`other-${n}`, 'c-other');
  }
  await all.until(Array.from({ length: 9 }, (_, n) => `a-${n + 1} ${n % 2 ? 'paid' : 'placed'}`));
  expect(sockets.length).toBeGreaterThan(1);

  const open = watch({ customerId: 'c-a', status: 'placed' });
  await open.until(['a-1 placed', 'a-3 placed', 'a-5 placed', 'a-7 placed', 'a-9 placed']);
  await app.execute(Order, 'a-1', 'cancel', { reason: 'late' });
  await open.until(['a-3 placed', 'a-5 placed', 'a-7 placed', 'a-9 placed']);
  const truth = await app.rows(OrderSummary, { customerId: 'c-a', status: 'placed' });
  expect([...open.client.rows.values()].toSorted(byId)).toEqual(truth.toSorted(byId));
  all.client.stop();
  open.client.stop();
});

const byId = (a: object, b: object): number => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1);

test('what cannot be subscribed to is told, and it stops', async () => {
  const told = new Promise((resolve) => {
    follow(app.urls.realtime, { view: 'nowhere' }, () => undefined, resolve);
  });
  await expect(told).resolves.toMatchObject({ t: 'err', code: 'unknown_view' });
});
