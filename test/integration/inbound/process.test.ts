/** Inbound in processes as they are started: by role, with health and metrics. */
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { loadConfig } from '../../../src/app/config.js';
import { createRuntime, type Runtime } from '../../../src/app/runtime.js';
import { silentLogger } from '../../../src/platform/logger.js';
import { bankOf, deposits } from '../../support/inbound.js';
import { describeKafka, kafka, kafkaBrokers, uniqueName } from '../../support/kafka.js';
import { freshDatabase, type FreshDatabase } from '../../support/postgres.js';

const WAIT = { timeout: 60_000, interval: 50 };
const running: Runtime[] = [];
let pg: FreshDatabase;

beforeAll(async () => {
  pg = await freshDatabase();
});
afterEach(async () => {
  await Promise.all(running.splice(0).map((one) => one.stop()));
});
afterAll(() => pg?.drop());

async function begin(
  app: ReturnType<typeof bankOf>,
  brokers: readonly string[],
  roles: string,
): Promise<Runtime> {
  const env = {
    DATABASE_URL: pg.url,
    KAFKA_BROKERS: brokers.join(','),
    TIDEMARK_ROLES: roles,
    // One database for two applications whose logs have one name.
    TIDEMARK_SCHEMA: app.name,
    PORT: '0',
    REALTIME_PORT: '0',
  };
  const runtime = createRuntime(app, loadConfig(env), { logger: silentLogger });
  running.push(runtime);
  await runtime.start();
  return runtime;
}

const get = async (runtime: Runtime, path: string): Promise<string> =>
  (await fetch(`${runtime.urls.http}${path}`)).text();

async function centsOf(api: Runtime, account: string): Promise<readonly number[]> {
  const { items = [] } = JSON.parse(await get(api, `/streams/account/${account}?limit=100`)) as {
    items?: { data: { cents: number } }[];
  };
  return items.map(({ data }) => data.cents);
}

const reasonsOf = async (runtime: Runtime): Promise<readonly string[]> =>
  (JSON.parse(await get(runtime, '/readyz')) as { reasons: readonly string[] }).reasons;

const value = (account: string, cents: number) => ({ value: JSON.stringify({ account, cents }) });

describeKafka('inbound in a process', () => {
  test('the relay’s runs the commands, tells what is missing, and counts', async () => {
    const topic = uniqueName('deposits');
    const app = bankOf(uniqueName('bank'), [deposits(topic)]);
    const account = uniqueName('a');
    const api = await begin(app, kafkaBrokers, 'api');
    const relay = await begin(app, kafkaBrokers, 'relay');
    const missing = `consumer deposits: there is no topic ${topic}`;
    await expect.poll(() => reasonsOf(relay), WAIT).toContain(missing);
    expect(await reasonsOf(api)).not.toContain(missing);
    await kafka.createTopic(topic);
    await kafka.send(topic, [value(account, 1), { value: 'nonsense' }, value(account, 2)]);
    await expect.poll(() => centsOf(api, account), WAIT).toEqual([1, 2]);
    await expect.poll(() => reasonsOf(relay), WAIT).not.toContain(missing);
    // Each is told a moment after the events are there.
    for (const line of [
      'tidemark_inbound_records_total{consumer="deposits",outcome="handled"} 2',
      'tidemark_inbound_records_total{consumer="deposits",outcome="dead"} 1',
      'tidemark_inbound_lag_records{consumer="deposits"} 0',
      'tidemark_inbound_troubles{consumer="deposits"} 0',
    ])
      await expect.poll(() => get(relay, '/metrics'), WAIT).toContain(line);
    // Its events go out again, with where they come from.
    await expect
      .poll(async () => (await kafka.readAll(`${app.name}.account`).catch(() => [])).length, WAIT)
      .toBe(2);
    const [event] = await kafka.readAll(`${app.name}.account`);
    expect(event?.headers).toMatchObject({ ce_actor: 'inbound:deposits', ce_causationid: `${topic}/0/0` });
  });
});
