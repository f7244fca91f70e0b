/** What an append answers: versions, seqs, several streams, confirmations, refusals, limits. */
import { hash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { shardOf } from '../../../src/platform/murmur2.js';
import {
  account,
  allEvents,
  appended,
  claim,
  faultsOf,
  newEvent,
  newEvents,
  openStore,
  order,
  type OpenStore,
} from '../../support/event-store.js';
import { freshDatabase, type FreshDatabase } from '../../support/postgres.js';

let pg: FreshDatabase;
let open: OpenStore;

beforeAll(async () => {
  pg = await freshDatabase();
  open = await openStore(pg.url);
});
afterAll(async () => {
  expect(faultsOf(await allEvents(open.db))).toEqual([]);
  await open.close();
  await pg.drop();
});

describe('one stream', () => {
  test('gets versions from 1, seqs of its shard, the epoch and one time', async () => {
    const first = order('one', 0, 2);
    const before = Date.now();
    const { streams, recordedAt } = appended(await open.store.append({ streams: [first] }));
    expect(streams).toEqual([
      {
        category: 'order',
        streamId: 'one',
        version: 2,
        shard: shardOf('one', 16),
        epoch: expect.stringMatching(/^[0-9a-z]+$/),
        seq: 2,
        events: first.events.map(({ type, eventId }, index) => ({ type, version: index + 1, eventId })),
      },
    ]);
    expect(recordedAt).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
    expect(Date.parse(recordedAt)).toBeGreaterThan(before - 1000);
    const more = appended(await open.store.append({ streams: [order('one', 2)] }));
    expect(more.streams[0]).toMatchObject({ version: 3, seq: 3, epoch: streams[0]?.epoch });
    expect(open.announced).toContainEqual(['order', shardOf('one', 16), 3]);
  });

  test('is written only at the expected version, and the answer says where it stands', async () => {
    await open.store.append({ streams: [order('expected', 0, 3)] });
    const conflict = { kind: 'conflict', category: 'order', streamId: 'expected', actual: 3 };
    for (const version of [0, 2, 4, 2 ** 40])
      expect(await open.store.append({ streams: [order('expected', version)] })).toEqual(conflict);
    expect(await open.store.append({ streams: [order('nobody', 'exists')] })).toMatchObject({
      kind: 'conflict',
      actual: 0,
    });
    expect(await open.store.append({ streams: [order('expected', 'exists')] })).toMatchObject({
      kind: 'appended',
    });
    expect(await open.store.append({ streams: [order('expected', 'any', 2)] })).toMatchObject({
      streams: [{ version: 6 }],
    });
    expect(await open.store.append({ streams: [order('somebody', 'any')] })).toMatchObject({
      streams: [{ version: 1 }],
    });
  });

  test('is confirmed by a request without events, and nothing is announced', async () => {
    await open.store.append({ streams: [order('confirmed', 0, 2)] });
    const count = open.announced.length;
    const confirmed = appended(await open.store.append({ streams: [order('confirmed', 2, 0)] }));
    expect(confirmed.streams).toEqual([expect.objectContaining({ version: 2, events: [] })]);
    const [row] = (await allEvents(open.db)).filter(
      ({ streamId, version }) => streamId === 'confirmed' && version === 2,
    );
    expect(confirmed.streams[0]?.seq).toBe(row?.seq);
    expect(await open.store.append({ streams: [order('confirmed', 1, 0)] })).toMatchObject({
      kind: 'conflict',
      actual: 2,
    });
    expect(appended(await open.store.append({ streams: [order('never', 0, 0)] })).streams).toEqual([
      expect.objectContaining({ version: 0, seq: 0, events: [] }),
    ]);
    expect(open.announced).toHaveLength(count);
  });
});

describe('requests that go together', () => {
  test('each get their own answer', async () => {
    const outcomes = await Promise.all([
      open.store.append({ streams: [order('together-0', 0)] }),
      ...Array.from({ length: 40 }, (_, n) =>
        open.store.append({ streams: [order(`together-${n}`, n % 2, 1 + (n % 3))] }),
      ),
      open.store.append({ streams: [account('together-1', 'any', 2)] }),
      open.store.append({ streams: [order('together-1', 'any', 0)] }),
    ]);
    expect(outcomes.map(({ kind }) => kind)).toEqual([
      'appended',
      // Of `together-0` the first request won; the odd ones expect a version that new streams do not have.
      'conflict',
      ...Array.from({ length: 39 }, (_, n) => (n % 2 === 0 ? 'conflict' : 'appended')),
      'appended',
      'appended',
    ]);
    const rows = await allEvents(open.db);
    for (const outcome of outcomes) {
      if (outcome.kind !== 'appended') continue;
      for (const { category, streamId, version, seq, shard, events } of outcome.streams) {
        const last = rows.findLast(
          (row) => row.category === category && row.streamId === streamId && row.version <= version,
        );
        if (events.length > 0)
          expect(last).toMatchObject({ version, seq, shard, eventId: events.at(-1)?.eventId });
      }
    }
  });

  test('on one stream keep their order and have one winner per version', async () => {
    const any = await Promise.all(
      Array.from({ length: 20 }, () => open.store.append({ streams: [order('hot', 'any')] })),
    );
    expect(any.map((outcome) => appended(outcome).streams[0]?.version)).toEqual(
      Array.from({ length: 20 }, (_, n) => n + 1),
    );
    const same = await Promise.all(
      Array.from({ length: 20 }, () => open.store.append({ streams: [order('hot', 20)] })),
    );
    expect(same.filter(({ kind }) => kind === 'appended')).toHaveLength(1);
    expect(same.filter((outcome) => outcome.kind === 'conflict' && outcome.actual === 21)).toHaveLength(19);
  });
});

describe('several streams', () => {
  test('are written together or not at all', async () => {
    const both = [order('pair', 0), account('pair', 0, 2), account('pair-2', 0, 0)];
    expect(appended(await open.store.append({ streams: both })).streams).toMatchObject([
      { category: 'order', version: 1 },
      { category: 'account', version: 2 },
      { category: 'account', version: 0, seq: 0 },
    ]);
    expect(await open.store.append({ streams: [order('pair', 1), account('pair', 0)] })).toEqual({
      kind: 'conflict',
      category: 'account',
      streamId: 'pair',
      actual: 2,
    });
    expect(await open.store.append({ streams: [order('pair', 1)] })).toMatchObject({ kind: 'appended' });
  });

  test('may be of one shard', async () => {
    const ids = Array.from({ length: 200 }, (_, n) => `mate-${n}`).filter((id) => shardOf(id, 16) === 5);
    const streams = ids.slice(0, 4).map((id) => order(id, 0, 2));
    const seqs = appended(await open.store.append({ streams })).streams.map(({ seq }) => seq);
    const [first = 0] = seqs;
    expect(seqs).toEqual([first, first + 2, first + 4, first + 6]);
  });
});

describe('what Postgres refuses', () => {
  test('fails alone, and its neighbours are written', async () => {
    const bad = [
      newEvent({ data: '{"broken":' }),
      newEvent({ data: '"\u0000"' }),
      newEvent({ type: 'with\u0000nul' }),
      newEvent({ schemaVersion: 2 ** 31 - 1, data: 'nope' }),
    ];
    const outcomes = await Promise.allSettled([
      ...Array.from({ length: 10 }, (_, n) => open.store.append({ streams: [order(`beside-${n}`, 0)] })),
      ...bad.map((event, n) =>
        open.store.append({ streams: [{ ...order(`bad-${n}`, 0), events: [event] }] }),
      ),
      ...Array.from({ length: 10 }, (_, n) => open.store.append({ streams: [order(`after-${n}`, 0)] })),
    ]);
    expect(outcomes.slice(10, 14)).toEqual(
      bad.map(() => ({ status: 'rejected', reason: expect.objectContaining({ code: 'append_refused' }) })),
    );
    for (const outcome of [...outcomes.slice(0, 10), ...outcomes.slice(14)])
      expect(outcome).toMatchObject({ status: 'fulfilled', value: { kind: 'appended' } });
    // More than an index row holds, and nothing that compresses.
    const long = Array.from({ length: 200 }, (_, n) => hash('sha512', `${n}`, 'base64')).join('');
    await expect(open.store.append({ streams: [order(long, 0)] })).rejects.toMatchObject({
      code: 'append_refused',
    });
  });

  test('is known beforehand where UTF-8 cannot say it', async () => {
    await expect(open.store.append({ streams: [order('lone \ud800', 0)] })).rejects.toMatchObject({
      code: 'append_refused',
    });
    const event = newEvent({ data: '"\udfff"' });
    await expect(
      open.store.append({ streams: [{ ...order('lone', 0), events: [event] }] }),
    ).rejects.toMatchObject({ code: 'append_refused' });
    await expect(
      open.store.append({ streams: [{ ...order('no-id', 0), events: [newEvent({ eventId: 'no' })] }] }),
    ).rejects.toMatchObject({ code: 'append_refused' });
  });
});

describe('what no caller may ask', () => {
  test.each([
    ['no stream', { streams: [] }],
    ['a stream twice', { streams: [order('twice', 0), order('twice', 1)] }],
    ['an unknown category', { streams: [{ ...order('x', 0), category: 'unknown' }] }],
    ['a negative version', { streams: [order('x', -1)] }],
    ['half a version', { streams: [order('x', 0.5)] }],
    [
      'a short request hash',
      { streams: [order('x', 0)], idempotency: { ...claim('k'), requestHash: Buffer.alloc(8) } },
    ],
  ])('%s', async (_, request) => {
    await expect(open.store.append(request)).rejects.toThrow(RangeError);
  });
});

test('data, tags and metadata come back as they were, whatever the characters', async () => {
  const data = JSON.stringify({
    text: '“日本語” 🎉 \u2028 \\ " {},',
    nested: [null, 1.5, -0, 1e300, { '': [] }],
  });
  const metadata = {
    correlationId: 'ü'.repeat(50),
    causationId: '{"a",b}',
    actor: "o'neil",
    traceparent: '00-1-1-01',
  };
  const tags = { ключ: '值', empty: '' };
  for (const count of [1, 2]) {
    const events = newEvents(count).map((event) => ({ ...event, data, metadata, tags, type: 'Größe' }));
    await open.store.append({
      streams: [{ category: 'order', streamId: `ünï 🎉 ${count}`, expected: 0, events }],
    });
    const read = await open.store.readStream({ category: 'order', streamId: `ünï 🎉 ${count}`, limit: 10 });
    expect(read).toHaveLength(count);
    for (const event of read)
      expect(event).toMatchObject({ data: JSON.parse(data), metadata, tags, type: 'Größe' });
  }
});

test('a full queue answers overloaded, and those in it are written', async () => {
  const small = await openStore(pg.url, { schema: 'small', options: { maxQueue: 5, maxBatch: 2 } });
  const outcomes = await Promise.allSettled(
    Array.from({ length: 20 }, (_, n) => small.store.append({ streams: [order(`s-${n}`, 0)] })),
  );
  const refused = outcomes.filter(({ status }) => status === 'rejected');
  expect(refused.length).toBeGreaterThan(0);
  for (const outcome of refused)
    expect(outcome).toMatchObject({ reason: { code: 'overloaded', retryAfter: 1 } });
  const rows = await allEvents(small.db);
  expect(rows).toHaveLength(20 - refused.length);
  expect(small.store.queued).toBe(0);
  await small.close();
});

test('stop answers those that wait, and takes no more', async () => {
  const other = await openStore(pg.url, { schema: 'stopping', options: { lanes: 3, maxBatch: 4 } });
  const waiting = Promise.all(
    Array.from({ length: 50 }, (_, n) => other.store.append({ streams: [order(`w-${n}`, 0)] })),
  );
  const stopped = other.store.stop();
  await expect(other.store.append({ streams: [order('late', 0)] })).rejects.toMatchObject({
    code: 'not_ready',
  });
  await stopped;
  expect((await waiting).every(({ kind }) => kind === 'appended')).toBe(true);
  await other.store.stop();
  expect(faultsOf(await allEvents(other.db))).toEqual([]);
  await other.close();
});

test('a head that this process remembers too high is read anew', async () => {
  const restored = await openStore(pg.url, { schema: 'restored', shards: 1 });
  await restored.store.append({ streams: [order('r', 0, 5)] });
  await restored.store.append({ streams: [order('r', 5, 5)] });
  // As if an older backup had been put in place under the running process.
  await restored.db.query(`DELETE FROM ${restored.db.table('events')} WHERE seq > 3`);
  expect(appended(await restored.store.append({ streams: [order('r', 3)] })).streams).toMatchObject([
    { seq: 4, version: 4 },
  ]);
  await restored.db.query(`DELETE FROM ${restored.db.table('events')} WHERE seq > 2`);
  const two = await Promise.all(
    [1, 2].map((n) => restored.store.append({ streams: [order(`q-${n}`, 0, n)] })),
  );
  expect(two.map((outcome) => appended(outcome).streams[0]?.seq)).toEqual([3, 5]);
  expect(faultsOf(await allEvents(restored.db))).toEqual([]);
  // A trimmed shard that holds nothing any more goes on after its low-water mark.
  await restored.db.query(`DELETE FROM ${restored.db.table('events')}`);
  await restored.db.query(`UPDATE ${restored.db.table('shards')} SET low = 9 WHERE log = 'order'`);
  expect(appended(await restored.store.append({ streams: [order('t', 0)] })).streams).toMatchObject([
    { seq: 10 },
  ]);
  await restored.close();
});
