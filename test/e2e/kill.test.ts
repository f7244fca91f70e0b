/**
 * The README's command in a clone (readme.test.ts has the first start of a fresh one); 1,000 orders by 50 clients while the process is killed with -9 and started again.
 * Afterwards every acknowledged order is there once, the read models equal a fold of the events, and a subscriber that
 * came back with its position after each kill has seen every change once and in order.
 */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { freePort, freshClone, npmStart, processTree, type Running } from './support/clone.js';
import { Subscriber } from './support/subscriber.js';

const ORDERS = 1_000;
const CLIENTS = 50;
const CUSTOMERS = 20;
/** The process is killed each time this many more orders were acknowledged. */
const KILL_AFTER = [120, 330, 560, 800];

interface StreamItem {
  readonly type: string;
  readonly version: number;
  readonly eventId: string;
  readonly data: {
    readonly customerId?: string;
    readonly lines?: readonly { readonly quantity: number; readonly unitPriceCents: number }[];
  };
  readonly recordedAt: string;
}
interface SummaryRow {
  readonly orderId: string;
  readonly customerId: string;
  readonly status: string;
  readonly totalCents: number;
  readonly itemCount: number;
  readonly placedAt: string;
  readonly updatedAt: string;
  readonly trackingNumber: string | null;
}
interface TotalsRow {
  readonly customerId: string;
  readonly orderCount: number;
  readonly totalCents: number;
  readonly lastOrderAt: string;
}

let clone: Awaited<ReturnType<typeof freshClone>>;
let running: Running;
let base = '';
let env: Record<string, string> = {};

beforeAll(async () => {
  clone = await freshClone({ installed: true });
  const port = await freePort();
  base = `http://127.0.0.1:${port}`;
  env = { PORT: String(port), REALTIME_PORT: String(await freePort()), LOG_LEVEL: 'warn' };
  running = await npmStart(clone.dir, env);
}, 180_000);

afterAll(async () => {
  const pid = await running?.nodePid().catch(() => undefined);
  if (pid !== undefined) process.kill(pid, 'SIGTERM');
  await running?.ended;
  await clone?.remove();
}, 120_000);

/** Sends a command until it is answered, always with the same key; a killed server and 503 are tried again. */
async function command(
  order: string,
  name: string,
  body: object,
): Promise<{ version: number; token: string }> {
  for (;;) {
    try {
      const answer = await fetch(`${base}/commands/order/${order}/${name}`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', 'idempotency-key': `${name}-${order}` },
        body: JSON.stringify(body),
      });
      if (answer.status === 200) return (await answer.json()) as { version: number; token: string };
      if (answer.status !== 503)
        throw new Refused(`${name} ${order}: ${answer.status} ${await answer.text()}`);
    } catch (error) {
      if (error instanceof Refused) throw error;
    }
    // No wait for a moment in the server's life: a client's back-off, as clients have one.
    await new Promise((resolve) => setTimeout(resolve, 20 + Math.random() * 50));
  }
}
class Refused extends Error {}

const json = async <T>(path: string): Promise<T> => {
  const answer = await fetch(base + path);
  expect(answer.status, path).toBe(200);
  return (await answer.json()) as T;
};

async function all<T>(view: string): Promise<T[]> {
  const items: T[] = [];
  for (let page: string | null = ''; page !== null;) {
    const at: string = page === '' ? '' : `&page=${encodeURIComponent(page)}`;
    const answer: { items: T[]; next: string | null } = await json(`/views/${view}?limit=1000${at}`);
    items.push(...answer.items);
    page = answer.next;
  }
  return items;
}

/** Kills with -9, Node alone and the whole group in turn, and starts again on the same data. */
async function killAndRestart(round: number): Promise<void> {
  const pid = await running.nodePid();
  if (round % 2 === 0) process.kill(pid, 'SIGKILL');
  else for (const one of await processTree(running.child.pid ?? pid)) process.kill(one, 'SIGKILL');
  await running.ended;
  running = await npmStart(clone.dir, env);
}

/** Versions of acknowledged orders, and a way to wait until there are so many. */
class Acknowledged extends Map<string, number> {
  readonly #waiting = new Set<() => void>();

  override set(id: string, version: number): this {
    super.set(id, version);
    for (const look of this.#waiting) look();
    return this;
  }

  reach(count: number): Promise<void> {
    return new Promise((resolve) => {
      const look = (): void => {
        if (this.size < count) return;
        this.#waiting.delete(look);
        resolve();
      };
      this.#waiting.add(look);
      look();
    });
  }
}

async function placeAll(acknowledged: Acknowledged): Promise<Map<string, string>> {
  const tokens = new Map<string, string>();
  let next = 0;
  const client = async (): Promise<void> => {
    while (next < ORDERS) {
      const n = next++;
      const id = `o-${n}`;
      const lines = [{ sku: `sku-${n}`, quantity: 1 + (n % 7), unitPriceCents: 100 + n }];
      let answer = await command(id, 'place', { customerId: `c-${n % CUSTOMERS}`, lines });
      if (n % 3 === 0) answer = await command(id, 'pay', { paymentId: `p-${n}` });
      if (n % 5 === 0) answer = await command(id, 'cancel', { reason: 'changed my mind' });
      acknowledged.set(id, answer.version);
      tokens.set(id, answer.token);
    }
  };
  await Promise.all(Array.from({ length: CLIENTS }, client));
  return tokens;
}

/** What the streams say, folded here by hand: not by the code under test. */
async function foldByHand(
  ids: Iterable<string>,
): Promise<{ summary: Map<string, SummaryRow>; totals: Map<string, TotalsRow> }> {
  const summary = new Map<string, SummaryRow>();
  const totals = new Map<string, TotalsRow>();
  const status: Record<string, string> = {
    OrderPlaced: 'placed',
    OrderPaid: 'paid',
    OrderCancelled: 'cancelled',
  };
  for (const id of ids) {
    const { items } = await json<{ items: StreamItem[] }>(`/streams/order/${id}?limit=100`);
    const placed = items[0];
    if (placed?.type !== 'OrderPlaced') throw new Error(`${id} does not begin with OrderPlaced`);
    expect(items.map((item) => item.version)).toEqual(items.map((_, index) => index + 1));
    const { customerId = '', lines = [] } = placed.data;
    const totalCents = lines.reduce((sum, line) => sum + line.quantity * line.unitPriceCents, 0);
    const last = items.at(-1) ?? placed;
    summary.set(id, {
      orderId: id,
      customerId,
      totalCents,
      itemCount: lines.reduce((sum, line) => sum + line.quantity, 0),
      status: status[last.type] ?? '?',
      placedAt: placed.recordedAt,
      updatedAt: last.recordedAt,
      trackingNumber: null,
    });
    const before = totals.get(customerId) ?? { customerId, orderCount: 0, totalCents: 0, lastOrderAt: '' };
    const counts = last.type === 'OrderCancelled' ? 0 : 1;
    totals.set(customerId, {
      customerId,
      orderCount: before.orderCount + counts,
      totalCents: before.totalCents + counts * totalCents,
      lastOrderAt: before.lastOrderAt > placed.recordedAt ? before.lastOrderAt : placed.recordedAt,
    });
  }
  return { summary, totals };
}

test('kill -9 again and again: nothing is lost, nothing is there twice', { timeout: 240_000 }, async () => {
  const subscriber = new Subscriber(`ws://127.0.0.1:${env['REALTIME_PORT']}/realtime`, {
    view: 'order_summary',
  });
  await subscriber.until(() => subscriber.lives > 0);
  const acknowledged = new Acknowledged();
  const writing = placeAll(acknowledged);
  for (const [round, count] of KILL_AFTER.entries()) {
    // A client that fails ends the test here.
    await Promise.race([acknowledged.reach(count), writing]);
    await killAndRestart(round);
  }
  const tokens = await writing;

  // Wait until the views have all of it: one token for each stream's last command covers every shard.
  for (const view of ['order_summary', 'customer_totals']) {
    for (const token of tokens.values())
      await json(`/views/${view}?limit=1&after=${encodeURIComponent(token)}&wait=30000`);
  }
  const { summary, totals } = await foldByHand(acknowledged.keys());
  expect(summary.size).toBe(ORDERS);
  for (const [id, version] of acknowledged) {
    const { items } = await json<{ items: StreamItem[] }>(`/streams/order/${id}?limit=100`);
    expect(items.length, id).toBe(version);
    expect(new Set(items.map((item) => item.type)).size, `${id} has no event twice`).toBe(items.length);
  }
  const rows = await all<SummaryRow>('order_summary');
  expect(rows.length).toBe(ORDERS);
  for (const row of rows) expect(row).toEqual(summary.get(row.orderId));
  const customers = await all<TotalsRow>('customer_totals');
  expect(customers.length).toBe(CUSTOMERS);
  for (const row of customers) expect(row).toEqual(totals.get(row.customerId));

  await checkSubscriber(subscriber, rows);
  subscriber.close();
});

async function checkSubscriber(subscriber: Subscriber, rows: readonly SummaryRow[]): Promise<void> {
  const latest = new Map<string, unknown>();
  await subscriber.until(() => {
    for (const { key, row } of subscriber.changes) latest.set(key, row);
    return rows.every(
      (row) => (latest.get(row.orderId) as SummaryRow | undefined)?.updatedAt === row.updatedAt,
    );
  });
  expect(subscriber.faults).toEqual([]);
  expect(subscriber.resets).toEqual([]);
  expect(subscriber.connections).toBeGreaterThan(KILL_AFTER.length);
  // It began on an empty view and watched the whole of it, so in each shard it saw every revision from 1 on.
  const shards = new Map<number, number[]>();
  for (const { shard, rev } of subscriber.changes) shards.set(shard, [...(shards.get(shard) ?? []), rev]);
  for (const [shard, revs] of shards) {
    expect(revs, `shard ${shard}`).toEqual(revs.map((_, index) => index + 1));
  }
  for (const row of rows) expect(latest.get(row.orderId)).toEqual(row);
}
