/** Appends whose connection is lost: whatever the moment, each is written once and answered as it was, or said to be unknown. */
import { Client } from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { startTemporaryPostgres } from '../../../src/app/embedded/temporary.js';
import {
  account,
  allEvents,
  appended,
  claim,
  faultsOf,
  newEvent,
  openStore,
  order,
  type OpenStore,
  type OpenStoreOptions,
} from '../../support/event-store.js';
import { startFlakyProxy, type FlakyProxy } from '../../support/flaky-proxy.js';
import { freshDatabase, type FreshDatabase } from '../../support/postgres.js';

let pg: FreshDatabase;
/** Beside the proxy, for looking and for other writers. */
let direct: OpenStore;
let proxy: FlakyProxy;
let open: OpenStore;

const SCHEMA = 'tidemark';

async function through(options: OpenStoreOptions = {}): Promise<void> {
  open = await openStore(proxy.url, { schema: SCHEMA, database: { max: 3 }, ...options });
  // A connection is open and idle, so that what is interrupted is the append and not the way to it.
  await open.store.append({ streams: [order(`warm-${Math.random()}`, 0)] });
}

beforeAll(async () => {
  pg = await freshDatabase();
  direct = await openStore(pg.url, { schema: SCHEMA });
});
afterAll(async () => {
  await direct.close();
  await pg.drop();
});
beforeEach(async () => {
  proxy = await startFlakyProxy(pg.url);
});
afterEach(async () => {
  proxy.mode = 'pass';
  await open.close();
  await proxy.stop();
  expect(faultsOf(await allEvents(direct.db))).toEqual([]);
});

const versionsOf = async (streamId: string): Promise<number[]> =>
  (await direct.store.readStream({ category: 'order', streamId, limit: 100 })).map(({ version }) => version);

test('the answer is lost after the commit: found by the event ids, also in a batch and over several streams', async () => {
  await through();
  const before = open.announced.length;
  proxy.mode = 'lose-answers';
  const lost = proxy.interrupted();
  const requests = [
    { streams: [order('lost-1', 'any', 2)] },
    { streams: [order('lost-2', 0)], idempotency: claim('lost-2') },
    { streams: [order('lost-3', 5)] },
    { streams: [order('lost-4', 'any', 0)], idempotency: claim('lost-4') },
    { streams: [order('lost-5', 0), account('lost-5', 0, 0), account('lost-6', 'any', 2)] },
  ];
  const outcomes = Promise.all(requests.map((request) => open.store.append(request)));
  await lost;
  proxy.mode = 'pass';
  const [one, two, three, four, five] = await outcomes;
  expect(one).toMatchObject({
    kind: 'appended',
    streams: [{ version: 2, events: [{ version: 1 }, { version: 2 }] }],
  });
  expect(two).toMatchObject({ streams: [{ version: 1 }] });
  expect(three).toMatchObject({ kind: 'conflict', actual: 0 });
  expect(four).toMatchObject({ streams: [{ version: 0, seq: 0 }] });
  expect(five).toMatchObject({ kind: 'appended', streams: [{ version: 1 }, { version: 0 }, { version: 2 }] });
  const rows = await allEvents(direct.db);
  for (const outcome of [one, two, five]) {
    const { streams, recordedAt } = appended(outcome ?? { kind: 'key_reused' });
    for (const { category, streamId, seq, shard, version, events } of streams) {
      if (events.length === 0) continue;
      const row = rows.find((each) => each.category === category && each.shard === shard && each.seq === seq);
      expect(row).toMatchObject({ streamId, version, recordedAt, eventId: events.at(-1)?.eventId });
      expect(open.announced.slice(before)).toContainEqual([category, shard, expect.any(Number)]);
    }
  }
});

test('the question is cut off and reaches the server later: it cannot be written twice', async () => {
  await through();
  proxy.mode = 'cut-questions';
  const cut = proxy.interrupted();
  const outcome = open.store.append({ streams: [order('zombie', 'any')] });
  await cut;
  proxy.mode = 'pass';
  expect(await outcome).toMatchObject({ kind: 'appended', streams: [{ version: 1 }] });
  // The backend that was to run it was ended before the append was sent again.
  expect(proxy.deliver()).toBe(false);
  expect(await versionsOf('zombie')).toEqual([1]);
});

test('the network goes silent: after the call timeout the append is looked up', async () => {
  await through({ options: { callTimeoutMs: 300 } });
  proxy.mode = 'hold-answers';
  const outcome = open.store.append({ streams: [order('silent', 'any')] });
  await expect.poll(() => open.db.pool.totalCount, { timeout: 60_000 }).toBe(0);
  proxy.mode = 'pass';
  expect(await outcome).toMatchObject({ kind: 'appended', streams: [{ version: 1 }] });
  expect(await versionsOf('silent')).toEqual([1]);
});

test('a client that stands still inside an append holds nobody up', async () => {
  await through();
  proxy.mode = 'hold-answers';
  const held = proxy.interrupted();
  const frozen = open.store.append({ streams: [order('frozen', 0)] });
  await held;
  expect(await direct.store.append({ streams: [order('frozen', 1)] })).toMatchObject({
    streams: [{ version: 2 }],
  });
  proxy.mode = 'pass';
  expect(await frozen).toMatchObject({ kind: 'appended', streams: [{ version: 1 }] });
});

test('Postgres stays away: the outcome is unknown, and the same key finds it later', async () => {
  await through({ options: { outcomeTimeoutMs: 200 } });
  proxy.mode = 'lose-answers';
  const request = { streams: [order('unknown', 0)], idempotency: claim('unknown') };
  await expect(open.store.append(request)).rejects.toMatchObject({ code: 'outcome_unknown' });
  proxy.mode = 'pass';
  expect(await open.store.append(request)).toMatchObject({ kind: 'duplicate', streams: [{ version: 1 }] });
});

test('Postgres cannot be reached at all: nothing was written, and the answer says so', async () => {
  await through({ options: { appendTimeoutMs: 2_000 } });
  proxy.mode = 'refuse';
  proxy.cut();
  await expect.poll(() => open.db.pool.totalCount, { timeout: 60_000 }).toBe(0);
  await expect(open.store.append({ streams: [order('away', 0)] })).rejects.toMatchObject({
    code: 'database_unavailable',
    retryAfter: 1,
  });
  proxy.mode = 'pass';
  expect(await open.store.append({ streams: [order('away', 0)] })).toMatchObject({ kind: 'appended' });
});

test('who looks an append up waits for whoever holds its shard', async () => {
  await through();
  const waiting = async (call: string): Promise<number> =>
    (
      await direct.db.query(
        `SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE $1`,
        [`%${call}%`],
      )
    ).length;
  let outcome: Promise<unknown> = Promise.resolve();
  await direct.db.transaction(async (tx) => {
    await tx.query(`SELECT FROM ${direct.db.table('shards')} WHERE log = 'order' FOR NO KEY UPDATE`);
    outcome = open.store.append({ streams: [order('waits', 'any')] });
    await expect.poll(() => waiting('append_one_v1'), { timeout: 60_000 }).toBe(1);
    proxy.cut();
    await expect.poll(() => waiting('find_appended_v1'), { timeout: 60_000 }).toBe(1);
    // Its own backend was ended, so that it cannot begin behind the look-up.
    expect(await waiting('append_one_v1')).toBe(0);
  });
  expect(await outcome).toMatchObject({ kind: 'appended', streams: [{ version: 1 }] });
  expect(await versionsOf('waits')).toEqual([1]);
});

test('an append that ends its connection every time fails alone, and those behind it are written', async () => {
  await through({ options: { appendTimeoutMs: 5_000 } });
  proxy.poison = 'poisonous';
  const requests = Array.from({ length: 20 }, (_, n) => ({ streams: [order(`beside-${n}`, 'any')] }));
  const bad = { streams: [{ ...order('bad', 'any'), events: [newEvent({ data: '"poisonous"' })] }] };
  const outcomes = requests.map((request) => open.store.append(request));
  const refused = expect(open.store.append(bad)).rejects.toMatchObject({ code: 'database_unavailable' });
  for (const outcome of await Promise.all(outcomes)) expect(outcome).toMatchObject({ kind: 'appended' });
  await refused;
  expect(await open.store.append({ streams: [order('behind', 0)] })).toMatchObject({ kind: 'appended' });
  expect(await versionsOf('bad')).toEqual([]);
});

test('a PANIC says nothing of what was written: it is looked up', async () => {
  await through();
  proxy.mode = 'panic';
  const panicked = proxy.interrupted();
  const outcome = open.store.append({ streams: [order('panic', 'any')] });
  await panicked;
  proxy.mode = 'pass';
  expect(await outcome).toMatchObject({ kind: 'appended', streams: [{ version: 1 }] });
  expect(await versionsOf('panic')).toEqual([1]);
});

test('backends are killed again and again: each append is there once', async () => {
  await through({ options: { lanes: 2 } });
  // Three hits a round at the most, or nothing would ever be found out.
  const hits = async (isOver: () => boolean): Promise<number> => {
    let killed = 0;
    while (killed < 3 && !isOver()) {
      const rows = await direct.db.query(
        `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
         WHERE datname = current_database() AND state = 'active' AND query LIKE '%append%' AND pid <> pg_backend_pid()`,
      );
      killed += rows.length;
    }
    return killed;
  };
  const ids: string[] = [];
  let killed = 0;
  for (let round = 0; round < 15; round++) {
    let over = false;
    const killing = hits(() => over);
    const outcomes = await Promise.all(
      Array.from({ length: 12 }, (_, n) => {
        const streams = n === 0 ? [order('k-a', 'any'), account('k-b', 'any')] : [order(`k-${n % 5}`, 'any')];
        return open.store.append({ streams });
      }),
    );
    over = true;
    killed += await killing;
    for (const outcome of outcomes)
      ids.push(...appended(outcome).streams.flatMap(({ events }) => events.map(({ eventId }) => eventId)));
  }
  expect(killed).toBeGreaterThan(0);
  const written = (await allEvents(direct.db)).filter(({ streamId }) => streamId.startsWith('k-'));
  expect(written.map(({ eventId }) => eventId).toSorted()).toEqual(ids.toSorted());
});

/**
 * The server passes the setting on some time after the reload; a commit that stands still shows it. What stood is ended.
 * @param committing a backend that waits for a standby, or 0
 */
async function untilCommitsStand(url: string, committing: () => Promise<number>): Promise<void> {
  for (let stands = false; !stands;) {
    const probe = new Client({ connectionString: url });
    probe.on('error', () => undefined);
    await probe.connect();
    let over = false;
    const commit = probe.query(`SELECT pg_logical_emit_message(true, 'probe', '')`).then(
      () => (over = true),
      () => undefined,
    );
    while (!over && !stands) stands = (await committing()) > 0;
    const ender = new Client({ connectionString: url });
    await ender.connect();
    await ender.query(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'`);
    await ender.end();
    await commit;
    await probe.end().catch(() => undefined);
    await expect.poll(committing).toBe(0);
  }
}

test('a backend that is still committing is waited for, and what it committed is found', async () => {
  const server = await startTemporaryPostgres();
  await proxy.stop();
  proxy = await startFlakyProxy(server.url);
  await through();
  const admin = await openStore(server.url, { schema: SCHEMA });
  // Commits now wait for a standby that never comes: written here, but not yet visible nor answered.
  const standby = async (name: string): Promise<void> => {
    await admin.db.query(`ALTER SYSTEM SET synchronous_standby_names = '${name}'`);
    await admin.db.query('SELECT pg_reload_conf()');
  };
  const committing = async (): Promise<number> => {
    const rows = await admin.db.query<[number]>(
      `SELECT pid FROM pg_stat_activity WHERE wait_event = 'SyncRep'`,
    );
    return rows[0]?.[0] ?? 0;
  };
  await standby('nobody');
  await untilCommitsStand(server.url, committing);
  const outcome = open.store.append({ streams: [order('committing', 'any')] });
  await expect.poll(committing, { timeout: 60_000 }).toBeGreaterThan(0);
  const backend = await committing();
  proxy.cut();
  // Only the search for the outcome can end it: the server was not told that the client is gone.
  await expect
    .poll(
      async () => (await admin.db.query(`SELECT FROM pg_stat_activity WHERE pid = $1`, [backend])).length,
      {
        timeout: 60_000,
      },
    )
    .toBe(0);
  await standby('');
  expect(await outcome).toMatchObject({ kind: 'appended', streams: [{ version: 1 }] });
  expect(
    (await admin.store.readStream({ category: 'order', streamId: 'committing', limit: 9 })).map(
      ({ version }) => version,
    ),
  ).toEqual([1]);
  await admin.close();
  await open.close();
  await server.stop();
});
