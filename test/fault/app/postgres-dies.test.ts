/** The embedded Postgres is killed under a running process: the process stays, says so, and serves again. */
import { expect, it, onTestFinished } from 'vitest';
import orders from '../../../examples/orders/app.js';
import { loadConfig } from '../../../src/app/config.js';
import { startEmbeddedPostgres } from '../../../src/app/embedded/postgres.js';
import { createRuntime } from '../../../src/app/runtime.js';
import { silentLogger } from '../../../src/platform/logger.js';
import { subscribeTo } from '../../../src/testing/subscription.js';
import { projectFolder } from '../../support/embedded.js';
import { serverPid } from '../../support/server-pid.js';

it('serves again once Postgres is back, with nothing lost and the subscriber brought up', async () => {
  const embedded = await startEmbeddedPostgres({ projectDir: await projectFolder(), logger: silentLogger });
  const env = { PORT: '0', REALTIME_PORT: '0' };
  const runtime = createRuntime(orders, loadConfig(env), { logger: silentLogger, embedded });
  onTestFinished(() => runtime.stop());
  await runtime.start();
  const { http, realtime = '' } = runtime.urls;
  const place = (id: string): Promise<Response> =>
    fetch(`${http}/commands/order/${id}/place`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'idempotency-key': `key-${id}` },
      body: JSON.stringify({ customerId: 'c', lines: [{ sku: 's', quantity: 1, unitPriceCents: 1 }] }),
    });
  const ready = async (): Promise<number> => (await fetch(`${http}/readyz`)).status;
  const live = await subscribeTo<{ orderId: string }>(realtime, 'order_summary', {});
  expect((await place('before')).status).toBe(200);
  await live.until((rows) => rows.has('before'), 60_000);

  process.kill(await serverPid(embedded.dataDir), 'SIGKILL');
  // An order that comes in the middle of it is retried by its key, as a client would.
  await expect.poll(async () => (await place('during')).status).toBe(200);
  await expect.poll(ready).toBe(200);
  expect((await fetch(`${http}/livez`)).status).toBe(200);
  expect((await place('after')).status).toBe(200);
  await live.until((rows) => rows.has('during') && rows.has('after'), 60_000);
  const events = (await (await fetch(`${http}/streams/order/during`)).json()) as { items: unknown[] };
  expect(events.items).toHaveLength(1);
  // Another projection than the one that was watched, with a pace of its own.
  const counted = async (): Promise<number> => {
    const totals = await fetch(`${http}/views/customer_totals/c`);
    return ((await totals.json()) as { orderCount: number }).orderCount;
  };
  await expect.poll(counted).toBe(3);
  await live.close();
});
