/** Idempotency keys: the stored answer for the same request, an error for another, and their end after their time. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { purgeKeys } from '../../../src/event-store/purge.js';
import { eventStoreStatements } from '../../../src/event-store/statements.js';
import { silentLogger } from '../../../src/platform/logger.js';
import {
  account,
  allEvents,
  appended,
  claim,
  faultsOf,
  openStore,
  order,
  type OpenStore,
} from '../../support/event-store.js';
import { freshDatabase, type FreshDatabase } from '../../support/postgres.js';

let pg: FreshDatabase;
let open: OpenStore;

beforeAll(async () => {
  pg = await freshDatabase();
  // A transaction of these tests stands still on purpose.
  open = await openStore(pg.url, { database: { idleInTransactionTimeoutMs: 60_000 } });
});
afterAll(async () => {
  expect(faultsOf(await allEvents(open.db))).toEqual([]);
  await open.close();
  await pg.drop();
});

const keysOf = async ({ db }: OpenStore): Promise<number> => {
  const [row] = await db.query<[number]>(`SELECT count(*)::int FROM ${db.table('idempotency_keys')}`);
  return row?.[0] ?? 0;
};

describe('a repeat of the same request', () => {
  test.each([1, 3])(
    'of %i events gets the stored answer, also when the stream has gone on',
    async (count) => {
      const streamId = `repeat-${count}`;
      const idempotency = claim(streamId);
      const first = appended(await open.store.append({ streams: [order(streamId, 0, count)], idempotency }));
      await open.store.append({ streams: [order(streamId, count, 2)] });
      for (const expected of [0, count + 2, 'any'] as const) {
        const again = await open.store.append({ streams: [order(streamId, expected, count)], idempotency });
        expect(again).toEqual({ kind: 'duplicate', streams: first.streams });
      }
    },
  );

  test('without events gets the version and seq as they were', async () => {
    await open.store.append({ streams: [order('nothing', 0, 2)] });
    for (const [streamId, expected] of [
      ['nothing', 2],
      ['nothing-new', 'any'],
    ] as const) {
      const idempotency = claim(`key of ${streamId}`);
      const first = appended(
        await open.store.append({ streams: [order(streamId, expected, 0)], idempotency }),
      );
      await open.store.append({ streams: [order(streamId, 'any', 2)] });
      const again = await open.store.append({ streams: [order(streamId, expected, 0)], idempotency });
      expect(again).toEqual({ kind: 'duplicate', streams: first.streams });
    }
  });

  test('over several streams gets the whole answer', async () => {
    const idempotency = claim('several');
    const streams = [order('sev', 0, 2), account('sev', 0), account('sev-2', 0, 0)];
    const first = appended(await open.store.append({ streams, idempotency }));
    const again = await open.store.append({ streams: [order('sev', 2, 2), account('sev', 1)], idempotency });
    expect(again).toEqual({ kind: 'duplicate', streams: first.streams });
  });

  test('that arrives together with the first is answered as its twin', async () => {
    const idempotency = claim('twins');
    const outcomes = await Promise.all(
      Array.from({ length: 8 }, () => open.store.append({ streams: [order('twin', 0)], idempotency })),
    );
    const { streams } = appended(outcomes[0] ?? { kind: 'key_reused' });
    expect(outcomes.slice(1)).toEqual(Array.from({ length: 7 }, () => ({ kind: 'duplicate', streams })));
  });
});

describe('another request with the key', () => {
  test('is told so, before its version is looked at', async () => {
    await open.store.append({ streams: [order('mine', 0)], idempotency: claim('taken', 'mine') });
    for (const streams of [
      [order('mine', 1)],
      [order('mine', 7)],
      [order('other', 0)],
      [order('other', 0), account('x', 0)],
    ])
      expect(await open.store.append({ streams, idempotency: claim('taken', 'other') })).toEqual({
        kind: 'key_reused',
      });
    expect(await open.store.append({ streams: [order('other', 0)] })).toMatchObject({ kind: 'appended' });
  });

  test('of another scope is another key', async () => {
    const idempotency = { ...claim('taken', 'mine'), scope: 'somebody/order/place' };
    expect(await open.store.append({ streams: [order('scoped', 0)], idempotency })).toMatchObject({
      kind: 'appended',
    });
  });

  test('on other shards, from other processes at once: one is written', async () => {
    const others = await Promise.all([openStore(pg.url), openStore(pg.url)]);
    for (let round = 0; round < 10; round++) {
      const outcomes = await Promise.all(
        others.flatMap(({ store }, at) =>
          Array.from({ length: 6 }, (_, n) =>
            store.append({
              streams: [order(`race-${round}-${at}-${n}`, 0)],
              idempotency: claim(`race-${round}-${n % 3}`, `${at}-${n}`),
            }),
          ),
        ),
      );
      expect(outcomes.filter(({ kind }) => kind === 'appended')).toHaveLength(3);
      expect(outcomes.filter(({ kind }) => kind === 'key_reused')).toHaveLength(9);
    }
    for (const other of others) await other.close();
  });
});

describe('a key that is only looked up', () => {
  test('is not recorded, and a recorded one is found', async () => {
    await open.store.append({ streams: [order('look', 0)] });
    const looked = claim('only looked', 'r', false);
    expect(await open.store.append({ streams: [order('look', 1, 0)], idempotency: looked })).toMatchObject({
      kind: 'appended',
    });
    expect(await open.store.append({ streams: [order('look', 0, 0)], idempotency: looked })).toMatchObject({
      kind: 'conflict',
      actual: 1,
    });
    const first = appended(
      await open.store.append({ streams: [order('look', 1)], idempotency: claim('only looked', 'r') }),
    );
    expect(await open.store.append({ streams: [order('look', 1, 0)], idempotency: looked })).toEqual({
      kind: 'duplicate',
      streams: first.streams,
    });
  });

  test('of a request that conflicts is free afterwards', async () => {
    const idempotency = claim('after a conflict');
    await open.store.append({ streams: [order('free', 0)] });
    expect(await open.store.append({ streams: [order('free', 0)], idempotency })).toMatchObject({
      kind: 'conflict',
    });
    expect(await open.store.append({ streams: [order('free', 1)], idempotency })).toMatchObject({
      kind: 'appended',
    });
  });
});

describe('the end of keys', () => {
  test('a pass removes what has outlived its time and nothing else', async () => {
    const aged = await openStore(pg.url, { schema: 'aged' });
    const deps = {
      database: aged.db,
      statements: eventStoreStatements(aged.db),
      logger: silentLogger,
      keepKeysMs: 60_000,
      purgeIntervalMs: 60_000,
      purgePages: 2,
    };
    const goOn = async (): Promise<boolean> => true;
    await Promise.all(
      Array.from({ length: 400 }, (_, n) =>
        aged.store.append({ streams: [order(`a-${n}`, 0)], idempotency: claim(`${n}`) }),
      ),
    );
    expect(await purgeKeys(deps, goOn)).toBe(0);
    await aged.db.query(
      `UPDATE ${aged.db.table('idempotency_keys')} SET recorded_at = recorded_at - interval '61 s' WHERE ('x' || right(hash::text, 1))::bit(4)::int < 8`,
    );
    const old = 400 - (await fresh(aged));
    expect(old).toBeGreaterThan(0);
    expect(await purgeKeys(deps, async () => false)).toBe(0);
    expect(await purgeKeys(deps, goOn)).toBe(old);
    expect(await keysOf(aged)).toBe(400 - old);
    await aged.close();
  });

  test('does not hold up an append that uses a key which is being removed', async () => {
    const idempotency = claim('being removed');
    const first = appended(await open.store.append({ streams: [order('removed', 0)], idempotency }));
    await open.db.transaction(async (tx) => {
      await tx.query(`DELETE FROM ${open.db.table('idempotency_keys')}`);
      expect(await open.store.append({ streams: [order('removed', 0)], idempotency })).toEqual({
        kind: 'duplicate',
        streams: first.streams,
      });
    });
    expect(await open.store.append({ streams: [order('removed', 0)], idempotency })).toMatchObject({
      kind: 'conflict',
      actual: 1,
    });
  });

  test('the store does it by itself, and stops', async () => {
    const short = await openStore(pg.url, {
      schema: 'short',
      options: { keepKeysMs: 1, purgeIntervalMs: 20 },
    });
    await short.store.append({ streams: [order('s', 0)], idempotency: claim('s') });
    await expect.poll(() => keysOf(short), { timeout: 60_000 }).toBe(0);
    expect(await allEvents(short.db)).toHaveLength(1);
    await short.close();
  });
});

async function fresh({ db }: OpenStore): Promise<number> {
  const [row] = await db.query<[number]>(
    `SELECT count(*)::int FROM ${db.table('idempotency_keys')} WHERE recorded_at > now() - interval '60 s'`,
  );
  return row?.[0] ?? 0;
}
