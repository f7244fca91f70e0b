/** docs/operation.md: its list of metrics is that of a running process, and what it says of restored data holds. */
import { readFile } from 'node:fs/promises';
import pgDriver from 'pg';
import { testApp, type TestApp } from 'tidemark/testing';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import orders from '../../../examples/orders/app.js';
import { Order } from '../../../examples/orders/order.js';
import { OrderSummary } from '../../../examples/orders/order-summary.js';
import { awayGauge, kafkaFeedMetrics } from '../../../src/app/metrics/kafka.js';
import { MetricsRegistry } from '../../../src/app/metrics/registry.js';
import { blockWith } from '../../support/docs/blocks.js';
import { freshDatabase, type FreshDatabase } from '../../support/postgres.js';

let pg: FreshDatabase;
let app: TestApp;
beforeAll(async () => {
  pg = await freshDatabase();
  app = await testApp(orders, { databaseUrl: pg.url });
});
afterAll(async () => {
  await app?.close();
  await pg?.drop();
});

const metricsIn = (text: string): string[] =>
  [...text.matchAll(/^# HELP (tidemark_\S+) (.*)\n# TYPE \S+ (\S+)$/gm)]
    .map(([, name, meaning, type]) => `${name} ${type} ${meaning}`)
    .sort();

test('metrics', async () => {
  const measured = metricsIn(await (await fetch(`${app.urls.http}/metrics`)).text());
  const feeds = new MetricsRegistry();
  kafkaFeedMetrics(feeds);
  awayGauge(feeds, () => []);
  const page = await readFile(new URL('../../../docs/operation.md', import.meta.url), 'utf8');
  const [first = '', second = ''] = page.split('where a process follows Kafka');
  const listed = (part: string): string[] =>
    [...part.matchAll(/^\| `(tidemark_\w+)` *\| (\w+) *\| (.*?) *\|$/gm)].map(
      ([, name, type, meaning]) => `${name} ${type} ${meaning}`,
    );
  expect(measured.length).toBeGreaterThan(30);
  expect(listed(first)).toEqual(measured);
  expect(listed(second)).toEqual(metricsIn(await feeds.text()));
});

test('after a restore, a new epoch turns old positions away', async () => {
  const statement = await blockWith('docs/operation.md', 'sql', 'epoch');
  const lines = [{ sku: 'tea', quantity: 1, unitPriceCents: 100 }];
  const place = (id: string) => app.execute(Order, id, 'place', { customerId: 'c-1', lines });
  const before = await place('o-1');
  const open = await app.subscribe(OrderSummary);
  await open.until((rows) => rows.has('o-1'), 60_000);
  await app.caughtUp();

  const client = new pgDriver.Client({ connectionString: pg.url });
  await client.connect();
  const schemas = await client.query<{ name: string }>(
    `SELECT nspname AS name FROM pg_namespace WHERE nspname LIKE 'test\\_%'`,
  );
  const { rowCount } = await client.query(statement.replace('tidemark.', `${schemas.rows[0]?.name}.`));
  await client.end();
  expect(rowCount).toBeGreaterThan(16);

  const old = `${app.urls.http}/views/order_summary/o-1?after=${before.token}`;
  await vi.waitFor(async () => expect((await fetch(old)).status).toBe(410), {
    timeout: 60_000,
    interval: 200,
  });
  await place('o-2');
  expect(await app.row(OrderSummary, 'o-2')).toMatchObject({ status: 'placed' });
  const rows = await open.until((all) => all.size === 2, 60_000);
  expect([...rows.keys()].toSorted()).toEqual(['o-1', 'o-2']);
});
