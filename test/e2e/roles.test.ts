/**
 * docs/going-distributed.md as it stands: the orders application as processes by role, on a real Postgres and a real Kafka, with
 * nothing changed in its domain code.
 * A projector and a gateway are killed in the middle of it and started again. At the end every acknowledged order is there
 * once, a subscriber has seen every change once and in order, and the read models equal a fold of the events.
 */
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Readiness } from '../../src/app/http/operations-http.js';
import { tidemark, type Program } from '../support/command.js';
import { blocksOf } from '../support/docs/blocks.js';
import { describeKafka, kafka, kafkaBrokers, uniqueName } from '../support/kafka.js';
import { freshDatabase, type FreshDatabase } from '../support/postgres.js';
import { Subscriber } from './support/subscriber.js';

const GUIDE = 'docs/going-distributed.md';
const APP = 'test/support/orders-by-role-app.ts';
const ORDERS = 90;
const CLIENTS = 6;
const CUSTOMERS = 7;
const KILL_AT = 30;

interface Running {
  readonly role: string;
  readonly args: readonly string[];
  readonly program: Program;
  readonly http: string;
  readonly realtime: string | undefined;
}

let postgres: FreshDatabase;
let env: Record<string, string>;

beforeAll(async () => {
  postgres = await freshDatabase();
  env = {
    DATABASE_URL: postgres.url,
    KAFKA_BROKERS: kafkaBrokers.join(','),
    TIDEMARK_TEST_APP: uniqueName('orders'),
    REALTIME_PORT: '0',
    // What the command line says holds against it.
    TIDEMARK_ROLES: 'api,relay,projector,gateway',
  };
});
afterAll(() => postgres.drop());

/** The arguments of the guide's commands that begin so; with the test's application in place of the example. */
async function guided(...begin: readonly string[]): Promise<string[][]> {
  const lines = (await blocksOf(GUIDE)).flatMap(({ language, text }) =>
    language === 'sh' ? text.split('\n') : [],
  );
  return lines
    .filter((line) => line.startsWith(`npx tidemark ${begin.join(' ')}`))
    .map((line) => line.replace('examples/orders/app.ts', APP).split(' ').slice(2));
}

async function start(args: readonly string[]): Promise<Running> {
  const program = tidemark([...args, '--quiet'], env);
  const [line] = await program.printed(/^.*"msg":"ready".*$/m);
  const { http, realtime } = JSON.parse(line) as { http: string; realtime?: string };
  return { role: args[args.indexOf('--roles') + 1] ?? '', args, program, http, realtime };
}

async function kill({ program }: Running): Promise<void> {
  program.child.kill('SIGKILL');
  await program.ended;
}

/** Answered by 503, it is sent again with its key, as clients do. */
async function command(base: string, order: string, name: string, body: object): Promise<string> {
  for (;;) {
    const answer = await fetch(`${base}/commands/order/${order}/${name}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'idempotency-key': `${name}-${order}` },
      body: JSON.stringify(body),
    });
    if (answer.status === 503) continue;
    expect(answer.status, `${name} ${order}`).toBe(200);
    return ((await answer.json()) as { token: string }).token;
  }
}

/** Places, pays and reads orders by turns over all APIs; each read asks another process for what was just written. */
class Shop {
  readonly #apis: readonly Running[];
  readonly #waiting = new Set<() => void>();
  #next = 0;
  placed = 0;

  constructor(apis: readonly Running[]) {
    this.#apis = apis;
  }

  /** Resolves when so many orders were placed, paid for and read. */
  async reach(count: number): Promise<void> {
    while (this.placed < count) await new Promise<void>((resolve) => this.#waiting.add(resolve));
  }

  async open(): Promise<void> {
    await Promise.all(Array.from({ length: CLIENTS }, () => this.#client()));
  }

  #api(n: number): string {
    return this.#apis[n % this.#apis.length]?.http ?? '';
  }

  async #client(): Promise<void> {
    while (this.#next < ORDERS) {
      const n = this.#next++;
      const id = `o-${n}`;
      const lines = [{ sku: 'tea', quantity: 1 + (n % 3), unitPriceCents: 100 + n }];
      await command(this.#api(n), id, 'place', { customerId: `c-${n % CUSTOMERS}`, lines });
      const token = await command(this.#api(n + 1), id, 'pay', { paymentId: `p-${n}` });
      const after = `after=${encodeURIComponent(token)}&wait=30000`;
      const row = await fetch(`${this.#api(n)}/views/order_summary/${id}?${after}`);
      expect(row.status, id).toBe(200);
      expect(await row.json()).toMatchObject({ orderId: id, status: 'paid' });
      this.placed++;
      for (const wake of this.#waiting) wake();
      this.#waiting.clear();
    }
  }
}

async function checkPlaces({ role, http }: Running): Promise<void> {
  expect((await fetch(`${http}/livez`)).status, role).toBe(200);
  const readyz = async (): Promise<[status: number, report: Readiness]> => {
    const answer = await fetch(`${http}/readyz`);
    return [answer.status, (await answer.json()) as Readiness];
  };
  await expect
    .poll(readyz, { message: role })
    .toMatchObject([200, { ready: true, roles: [role], reasons: [] }]);
  const metrics = await (await fetch(`${http}/metrics`)).text();
  expect(metrics, role).toMatch(/^process_cpu_seconds_total /m);
  expect(/^tidemark_sockets \d/m.test(metrics), role).toBe(role === 'gateway');
  expect(/^tidemark_appends_total /m.test(metrics), role).toBe(role === 'api');
  expect(/^# TYPE tidemark_projection_events_total /m.test(metrics), role).toBe(role === 'projector');
  expect(/^tidemark_outbox_/m.test(metrics), role).toBe(role === 'relay');
}

function checkSubscriber(subscriber: Subscriber): void {
  expect(subscriber.faults).toEqual([]);
  expect(subscriber.resets).toEqual([]);
  const shards = new Map<number, number[]>();
  for (const { shard, rev } of subscriber.changes) shards.set(shard, [...(shards.get(shard) ?? []), rev]);
  // It watched from the first order on: every revision from 1 on, once and in order.
  for (const [shard, revs] of shards)
    expect(revs, `shard ${shard}`).toEqual(revs.map((_, index) => index + 1));
}

/** Whoever found a record late has read it from Postgres: all of them are in Kafka, in the end. */
async function checkTopics(changes: number): Promise<void> {
  const app = env['TIDEMARK_TEST_APP'] ?? '';
  const different = async (topic: string): Promise<number> =>
    new Set((await kafka.readAll(topic)).map(({ headers }) => headers['ce_id'])).size;
  const patience = { timeout: 60_000 };
  await expect.poll(() => different(`${app}.order`), patience).toBe(2 * ORDERS);
  await expect.poll(() => different(`${app}.order_summary.v1.changes`), patience).toBe(changes);
}

describeKafka('processes by role', () => {
  test(
    'orders from two APIs to a subscriber, over a relay, two projectors and a gateway',
    { timeout: 240_000 },
    async () => {
      const [api, relay, projector, second, first] = await Promise.all((await guided('start')).map(start));
      if (!api || !relay || !projector || !second || !first) throw new Error(`${GUIDE} starts five`);
      const other = await start(api.args);
      const started = [api, relay, projector, second, first].map(({ role }) => role);
      expect(started).toEqual(['api', 'relay', 'projector', 'projector', 'gateway']);
      let gateway = first;
      let again = projector;
      const subscriber = new Subscriber(() => gateway.realtime ?? '', { view: 'order_summary' });
      await subscriber.until(() => subscriber.lives > 0);

      const shop = new Shop([api, other]);
      const selling = shop.open();
      await Promise.race([shop.reach(KILL_AT), selling]);
      await Promise.all([kill(projector), kill(first)]);
      [again, gateway] = await Promise.all([start(projector.args), start(first.args)]);
      await selling;

      const seen = (): boolean => {
        const { rows } = subscriber;
        return rows.size === ORDERS && [...rows.values()].every(({ status }) => status === 'paid');
      };
      await subscriber.until(seen);
      checkSubscriber(subscriber);
      expect(subscriber.connections).toBeGreaterThan(1);
      subscriber.close();
      await checkTopics(subscriber.changes.length);

      const running = [api, other, relay, again, second, gateway];
      for (const one of running) await checkPlaces(one);
      const verifying = await guided('projections', 'verify');
      expect(verifying.map((args) => args[2])).toEqual(['order_summary', 'customer_totals']);
      const verified = await Promise.all(verifying.map((args) => tidemark(args, env).ended));
      for (const { code, stdout, stderr } of verified) expect([code, stderr], stdout).toEqual([0, '']);
      for (const { program } of running) program.child.kill('SIGTERM');
      for (const { role, program } of running) expect((await program.ended).code, role).toBe(0);
    },
  );
});
