/** A process that builds its read models: it answers commands meanwhile, says how far it is, and stops in the middle of it. */
import { fileURLToPath } from 'node:url';
import { beforeEach, expect, onTestFinished, test } from 'vitest';
import orders from '../../../examples/orders/app.js';
import { CustomerTotals } from '../../../examples/orders/customer-totals.js';
import { OrderSummary } from '../../../examples/orders/order-summary.js';
import { loadConfig } from '../../../src/app/config.js';
import type { Readiness } from '../../../src/app/http/operations-http.js';
import { createRuntime, type Runtime } from '../../../src/app/runtime.js';
import { PostgresEventStore } from '../../../src/event-store/store.js';
import { createLogger, silentLogger } from '../../../src/platform/logger.js';
import { Database } from '../../../src/platform/postgres/database.js';
import { migrate } from '../../../src/platform/postgres/migrate.js';
import { Wakeups } from '../../../src/platform/wakeups.js';
import { writeEvents } from '../../support/many-events.js';
import { freshDatabase, type FreshDatabase } from '../../support/postgres.js';
import { readModelFaults } from '../../support/read-model-check.js';

const APP = fileURLToPath(new URL('../../../examples/orders/app.ts', import.meta.url));
const STREAMS = 4_000;
let pg: FreshDatabase;
let db: Database;
let log: { readonly level: string; readonly msg: string }[];

beforeEach(async () => {
  pg = await freshDatabase();
  db = new Database({ connectionString: pg.url, schema: 'tidemark', role: 'test', logger: silentLogger });
  onTestFinished(async () => {
    await db.end();
    await pg.drop();
  });
  log = [];
  await migrate(db);
  const events = Array.from({ length: STREAMS }, (_, n) => {
    const tags = { customerId: `c-${n % 97}` };
    const placed = { customerId: tags.customerId, lines: [], totalCents: n, itemCount: 1 };
    return [
      { streamId: `o-${n}`, type: 'OrderPlaced', data: placed, tags },
      { streamId: `o-${n}`, type: 'OrderPaid', data: { paymentId: `p-${n}` }, tags },
    ];
  });
  await writeEvents(db, 'order', orders.shards, [
    ...events.flatMap(([placed]) => placed ?? []),
    ...events.flatMap(([, paid]) => paid ?? []),
  ]);
});

async function started(appModule: string | undefined): Promise<Runtime> {
  const write = (line: string): void => void log.push(JSON.parse(line));
  const env = { DATABASE_URL: pg.url, PORT: '0', REALTIME_PORT: '0', TIDEMARK_STOP_TIMEOUT_MS: '60000' };
  const config = loadConfig(env);
  const runtime = createRuntime(orders, config, {
    logger: createLogger({ level: 'info', destination: { write } }),
    rebuildFrom: 0,
    ...(appModule === undefined ? {} : { appModule }),
  });
  onTestFinished(() => runtime.stop());
  await runtime.start();
  return runtime;
}

async function readyz(runtime: Runtime): Promise<{ status: number; body: Readiness }> {
  const answer = await fetch(`${runtime.urls.http}/readyz`);
  return { status: answer.status, body: (await answer.json()) as Readiness };
}

const place = (runtime: Runtime, id: string): Promise<Response> =>
  fetch(`${runtime.urls.http}/commands/order/${id}/place`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ customerId: 'c-new', lines: [{ sku: 'tea', quantity: 1, unitPriceCents: 100 }] }),
  });

const isBuilding = ({ body }: Awaited<ReturnType<typeof readyz>>): boolean =>
  Object.values(body.projections).some(({ state }) => state === 'building');

async function allFaults(): Promise<string[]> {
  const store = new PostgresEventStore({
    database: db,
    categories: ['order'],
    shards: orders.shards,
    announcer: new Wakeups(),
    logger: silentLogger,
  });
  const faults: string[] = [];
  for (const view of [OrderSummary, CustomerTotals])
    faults.push(...(await readModelFaults(db, store, view, orders.shards)));
  return faults;
}

test.each([
  ['in a thread', APP],
  ['in slices', undefined],
])('%s: commands are answered while read models are built', async (_where, appModule) => {
  const runtime = await started(appModule);
  const view = await fetch(`${runtime.urls.http}/views/order_summary/o-1`);
  expect({ status: view.status, ...((await view.json()) as object) }).toMatchObject({
    status: 503,
    code: 'projection_building',
  });
  let placed = 0;
  let during = 0;
  let token = '';
  let told = 0;
  for (let ready = await readyz(runtime); ready.status !== 200; ready = await readyz(runtime)) {
    const answer = await place(runtime, `new-${placed}`);
    expect(answer.status).toBe(200);
    ({ token } = (await answer.json()) as { token: string });
    placed++;
    if (isBuilding(ready)) during++;
    expect(ready.body.ready).toBe(false);
    for (const { progress } of Object.values(ready.body.projections)) told += progress ? 1 : 0;
  }
  expect(during).toBeGreaterThan(0);
  expect(told).toBeGreaterThan(0);
  // The token is of the last one's shard alone.
  await expect
    .poll(async () => (await fetch(`${runtime.urls.http}/views/customer_totals/c-new`)).json())
    .toMatchObject({ orderCount: placed });
  const last = await fetch(
    `${runtime.urls.http}/views/order_summary/new-${placed - 1}?after=${token}&wait=30000`,
  );
  expect(last.status).toBe(200);
  expect(log.filter(({ level }) => level !== 'info')).toEqual([]);
  expect(log.filter(({ msg }) => msg === 'built')).toHaveLength(2);
  await expect.poll(allFaults).toEqual([]);
});

test.each([
  ['in a thread', APP],
  ['in slices', undefined],
])(
  '%s: a process that is stopped in the middle stops in order, and the next one goes on',
  async (_where, appModule) => {
    const first = await started(appModule);
    await expect
      .poll(() => db.query('SELECT FROM tidemark.builds'), { timeout: 60_000, interval: 5 })
      .not.toHaveLength(0);
    await first.stop();
    expect(log.filter(({ level }) => level !== 'info')).toEqual([]);
    expect(log.at(-1)).toMatchObject({ msg: 'stopped' });
    const second = await started(appModule);
    await expect.poll(async () => (await readyz(second)).status, { timeout: 60_000 }).toBe(200);
    expect(await allFaults()).toEqual([]);
  },
);

test('a module that has another definition now is not what is built from', async () => {
  // The bench of another application: it has no such projection.
  const other = fileURLToPath(new URL('../../../examples/joins/app.ts', import.meta.url));
  const runtime = await started(other);
  await expect.poll(async () => (await readyz(runtime)).status, { timeout: 60_000 }).toBe(200);
  expect(log.filter(({ level }) => level === 'warn').map(({ msg }) => msg)).toContain(
    'the build cannot have a thread of its own, and runs between what else this process does',
  );
  expect(await allFaults()).toEqual([]);
});
