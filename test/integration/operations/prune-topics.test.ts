/** Pruning where there is a Kafka: the topics of the versions that go, go too. */
import { defineApp, projection } from 'tidemark';
import { afterAll, beforeAll, expect, it, onTestFinished, vi } from 'vitest';
import { z } from 'zod';
import { Order } from '../../../examples/orders/order.js';
import { loadConfig } from '../../../src/app/config.js';
import { createRuntime, type Runtime } from '../../../src/app/runtime.js';
import type { AnyApp } from '../../../src/domain/app.js';
import { silentLogger } from '../../../src/platform/logger.js';
import { describeKafka, kafka, kafkaBrokers, uniqueName } from '../../support/kafka.js';
import { freshDatabase, type FreshDatabase } from '../../support/postgres.js';
import { typed } from '../../support/typed.js';

const APP = 'test/support/orders-by-role-app.ts';
const name = uniqueName('orders');
const GOING = `${name}.order_summary.v2.changes`;
const STAYING = `${name}.order_summary.v1.changes`;

const next = defineApp({
  auth: 'none',
  name,
  aggregates: [Order],
  projections: [
    projection('order_summary', {
      version: 2,
      row: z.object({ orderId: z.string(), status: z.string() }),
      key: 'orderId',
    }).on(Order, { fold: { OrderPlaced: () => ({ status: 'placed' }) } }),
  ],
  shards: 4,
});

let postgres: FreshDatabase;
let env: Record<string, string>;
let served: AnyApp;

beforeAll(async () => {
  postgres = await freshDatabase();
  vi.stubEnv('TIDEMARK_TEST_APP', name);
  served = (await import('../../support/orders-by-role-app.js')).default;
  env = { DATABASE_URL: postgres.url, KAFKA_BROKERS: kafkaBrokers.join(',') };
});
afterAll(async () => {
  vi.unstubAllEnvs();
  await postgres.drop();
});

async function start(app: AnyApp): Promise<Runtime> {
  const runtime = createRuntime(app, loadConfig({ ...env, PORT: '0', REALTIME_PORT: '0' }), {
    logger: silentLogger,
  });
  onTestFinished(() => runtime.stop());
  await runtime.start();
  return runtime;
}

const topics = (): Promise<readonly string[]> => kafka.withAdmin((admin) => admin.listTopics());

/** A version that was tried for a moment, and that nobody has any more. */
async function tryNext(): Promise<void> {
  await (await start(next)).stop();
  // A broker tells of a topic a moment after the controller has made it.
  await expect.poll(topics).toEqual(expect.arrayContaining([GOING, STAYING]));
}

describeKafka('prune', () => {
  it('drops tables and topics, of the versions that nobody has', async () => {
    const running = await start(served);
    await tryNext();
    const line = ['projections', 'prune', '--grace', '0'];
    const would = await typed([...line, '--dry-run', '--app', APP], env);
    expect(would.stdout).toMatch(/^order_summary v2 would be dropped\n/);
    expect(await topics()).toContain(GOING);
    const done = await typed([...line, '--app', APP], env);
    expect(done.stdout).toMatch(/^order_summary v2 was dropped\n/);
    expect(done.stdout).toContain(`\ntopic ${GOING} was dropped\n`);
    await expect.poll(topics, { timeout: 60_000 }).not.toContain(GOING);

    await tryNext();
    const answer = await fetch(`${running.urls.http}/ops/projections/prune`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ graceSeconds: 0 }),
    });
    expect(await answer.json()).toMatchObject({
      dropped: [{ name: 'order_summary', version: 2 }],
      topics: { dropped: [GOING], kept: [] },
    });
    await expect.poll(topics, { timeout: 60_000 }).not.toContain(GOING);
    expect(await topics()).toContain(STAYING);
  });

  it('says which topics are left where Kafka is away, or nobody knows the name of the application', async () => {
    const running = await start(served);
    await tryNext();
    await running.stop();
    const away = await typed(['projections', 'prune', '--grace', '0', '--app', APP, '--json'], {
      ...env,
      KAFKA_BROKERS: '127.0.0.1:1',
    });
    expect(JSON.parse(away.stdout)).toMatchObject({
      dropped: [{ name: 'order_summary', version: 2 }],
      topics: { dropped: [], kept: [{ topic: GOING, why: expect.stringMatching(/127\.0\.0\.1:1|Kafka/) }] },
    });
    await tryNext();
    await typed(['projections', 'swap-view', 'order_summary'], env);
    const nameless = await typed(['projections', 'prune', '--grace', '0'], env);
    expect(nameless.stdout).toMatch(/^order_summary v1 was dropped\n/);
    expect(nameless.stdout.replaceAll(/\s+/g, ' ')).toContain(
      'topic ….order_summary.v1.changes is kept: nobody knows the name of the application: see --app; drop it with Kafka',
    );
    expect(await topics()).toContain(STAYING);
  });
});
