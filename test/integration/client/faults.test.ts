/** Whatever happens on the way, the client’s rows become what the view is: cuts, refusals, gateways that go, logs that begin anew. */
import { createClient, type Client, type LiveStore, type Subscription } from 'tidemark/client';
import { webSocketOrSse } from 'tidemark/client/sse';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { startFlakyProxy, type FlakyProxy } from '../../support/flaky-proxy.js';
import { until } from '../../support/client/until.js';
import { randomFrom } from '../../support/random.js';
import type { boardApp, BoardRow } from '../../support/realtime/board.js';
import { engines } from '../../support/realtime/engines.js';
import { RealtimeStack } from '../../support/realtime/stack.js';
import type { Gateway } from '../../../src/realtime/gateway.js';

const STEPS = 60;
const IDS = Array.from({ length: 8 }, (_, n) => `k${n}`);
const LISTS = ['a', 'b'];

let stack: RealtimeStack;
beforeAll(async () => {
  stack = await RealtimeStack.start();
});
afterAll(() => stack?.stop());

interface Wish {
  readonly key?: string;
  readonly where?: { readonly list: string; readonly done?: boolean | null };
  readonly sort?: readonly ('-id' | 'list' | '-done')[];
  readonly limit?: number;
}
const WISHES: readonly Wish[] = [
  {},
  { key: 'k1' },
  { where: { list: 'a' } },
  { where: { list: 'b', done: null } },
  { sort: ['-id'], limit: 3 },
  { where: { list: 'a' }, sort: ['-done', '-id'], limit: 2 },
];

/** Null first where it falls; what `GET /views` says of an order, once more. */
const byDone = (done: boolean | null): number => (done === null ? 0 : done ? 1 : 2);
const descending = (a: string, b: string): number => (a < b ? 1 : a > b ? -1 : 0);

function expected(table: readonly BoardRow[], { key, where, sort, limit }: Wish): readonly BoardRow[] {
  const rows = table
    .filter(({ id }) => key === undefined || id === key)
    .filter(({ list }) => where === undefined || list === where.list)
    .filter(({ done }) => where === undefined || !('done' in where) || done === where.done)
    .toSorted((a, b) => {
      if (!sort) return -descending(a.id, b.id);
      const first = sort[0] === '-done' ? byDone(a.done) - byDone(b.done) : 0;
      return first || descending(a.id, b.id);
    });
  return rows.slice(0, limit);
}

const ways = engines.flatMap((engine) => [
  { name: engine.name, engine, Socket: WebSocket },
  { name: `streams of ${engine.name}`, engine, Socket: webSocketOrSse({ WebSocket: null, maxStreams: 20 }) },
]);

describe.each(ways)('over $name', ({ engine, Socket }) => {
  let gateway: Gateway;
  let proxy: FlakyProxy;
  let client: Client<typeof boardApp>;

  const urlOf = ({ port }: Gateway): string => `ws://127.0.0.1:${port}/realtime`;

  beforeAll(async () => {
    gateway = await stack.gateway(engine, { drainMs: 0 });
    proxy = await startFlakyProxy(urlOf(gateway));
    client = createClient<typeof boardApp>({
      url: 'http://127.0.0.1:1',
      realtimeUrl: proxy.url,
      WebSocket: Socket,
      backoff: { minMs: 5, maxMs: 50 },
      lingerMs: 0,
    });
  });
  afterAll(async () => {
    client?.close();
    await proxy?.stop();
  });

  /** A gateway goes and another one comes to its place. */
  async function replaceGateway(meanwhile = async (): Promise<void> => undefined): Promise<void> {
    await gateway.stop();
    await meanwhile();
    gateway = await stack.gateway(engine, { drainMs: 0 });
    proxy.retarget(urlOf(gateway));
  }

  const table = async (): Promise<readonly BoardRow[]> =>
    [...(await stack.table()).values()].map(({ row }) => row as BoardRow);

  test('after any faults, rows equal the view', async () => {
    const seed = Math.floor(Math.random() * 2 ** 31);
    console.log(`seed ${seed}`);
    const random = randomFrom(seed);
    const pick = <T>(from: readonly T[]): T => from[random(from.length)] as T; // below its length
    const stores: readonly LiveStore<BoardRow>[] = WISHES.map((wish) => client.live('board', wish));
    const revs = new Map<string, number>();
    let repeats = 0;
    const seen: Subscription = client.subscribe(
      'board',
      {},
      {
        snapshot: (rows) => {
          revs.clear();
          for (const [key, rev] of rows) revs.set(key, rev);
        },
        changes: (rows) => {
          for (const [key, rev] of rows) {
            if (rev <= (revs.get(key) ?? 0)) repeats++;
            revs.set(key, rev);
          }
        },
      },
    );
    const faults: readonly (() => unknown)[] = [
      () => proxy.cut(),
      () => proxy.cut(),
      () => {
        proxy.mode = 'refuse';
      },
      () => {
        proxy.mode = 'hold-answers';
      },
      () => {
        proxy.mode = 'pass';
      },
      () => client.pause(),
      () => client.resume(),
      () => replaceGateway(),
      () => stack.newEpoch(`e${seed.toString(36)}${random(1_000_000)}`),
    ];
    for (let step = 0; step < STEPS; step++) {
      const id = pick(IDS);
      if (random(4) === 0) await stack.remove(id);
      else await stack.set(id, pick(LISTS), pick([null, true, false]), `n${step}`);
      if (random(3) === 0) await pick(faults)();
      // As the page would be looked at in the middle.
      if (random(5) === 0)
        for (const store of stores) expect(store.rows.length).toBeLessThanOrEqual(IDS.length + 1);
    }
    proxy.mode = 'pass';
    client.resume();
    await stack.caughtUp();
    const rows = await table();
    for (const [at, wish] of WISHES.entries()) {
      const store = stores[at];
      const want = JSON.stringify(expected(rows, wish));
      await until(store, () => store?.status === 'live' && JSON.stringify(store.rows) === want).catch(() => {
        expect({ seed, wish, status: store?.status, rows: store?.rows }).toEqual({
          seed,
          wish,
          status: 'live',
          rows: JSON.parse(want) as unknown,
        });
      });
    }
    await until(undefined, () => seen.status === 'live' && [...revs].length >= rows.length);
    expect(repeats).toBe(0);
    seen.close();
    for (const store of stores) store.close();
  });

  test('a gateway that was killed: stale at once, and live again with what happened meanwhile', async () => {
    proxy.mode = 'pass';
    client.resume();
    await stack.set('killed', 'kill', true, 'one');
    const store = client.live('board', { where: { list: 'kill' } });
    await until(store, () => store.rows[0]?.note === 'one');
    // Nobody says goodbye.
    proxy.mode = 'refuse';
    proxy.cut();
    await until(store, () => store.status === 'stale');
    await replaceGateway(() => stack.set('killed', 'kill', true, 'two'));
    expect(store.rows[0]?.note).toBe('one');
    proxy.mode = 'pass';
    await until(store, () => store.status === 'live' && store.rows[0]?.note === 'two');
    store.close();
  });
});
