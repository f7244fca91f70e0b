/** Reading: streams both ways, shards page by page and below their low-water mark; snapshots. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { StoredEvent } from '../../../src/domain/events.js';
import { appended, newEvents, openStore, order, type OpenStore } from '../../support/event-store.js';
import { freshDatabase, type FreshDatabase } from '../../support/postgres.js';

let pg: FreshDatabase;
let open: OpenStore;

beforeAll(async () => {
  pg = await freshDatabase();
  open = await openStore(pg.url, { shards: 2 });
});
afterAll(async () => {
  await open.close();
  await pg.drop();
});

const versions = (events: readonly StoredEvent[]): number[] => events.map(({ version }) => version);

describe('a stream', () => {
  const read = (fields: { from?: number; direction?: 'forwards' | 'backwards'; limit?: number }) =>
    open.store.readStream({ category: 'order', streamId: 'read', limit: 100, ...fields });

  beforeAll(async () => {
    await open.store.append({ streams: [order('read', 0, 7)] });
    await open.store.append({ streams: [order('read2', 0, 3)] });
  });

  test('is read forwards from a version', async () => {
    expect(versions(await read({}))).toEqual([1, 2, 3, 4, 5, 6, 7]);
    expect(versions(await read({ limit: 3 }))).toEqual([1, 2, 3]);
    expect(versions(await read({ from: 6 }))).toEqual([6, 7]);
    expect(await read({ from: 8 })).toEqual([]);
  });

  test('is read backwards from a version', async () => {
    expect(versions(await read({ direction: 'backwards' }))).toEqual([7, 6, 5, 4, 3, 2, 1]);
    expect(versions(await read({ direction: 'backwards', from: 3, limit: 2 }))).toEqual([3, 2]);
    expect(versions(await read({ direction: 'backwards', limit: 1 }))).toEqual([7]);
  });

  test('that is not there has no events', async () => {
    expect(await open.store.readStream({ category: 'order', streamId: 'rea', limit: 10 })).toEqual([]);
    expect(await open.store.readStream({ category: 'account', streamId: 'read', limit: 10 })).toEqual([]);
  });

  test('has its events whole', async () => {
    const events = newEvents(1).map((event) => ({ ...event, schemaVersion: 3, tags: { customerId: 'c-1' } }));
    const outcome = appended(
      await open.store.append({ streams: [{ category: 'order', streamId: 'whole', expected: 0, events }] }),
    );
    const [stream] = outcome.streams;
    expect(await open.store.readStream({ category: 'order', streamId: 'whole', limit: 1 })).toEqual([
      {
        eventId: events[0]?.eventId,
        category: 'order',
        shard: stream?.shard,
        seq: stream?.seq,
        streamId: 'whole',
        version: 1,
        type: 'Happened',
        schemaVersion: 3,
        data: { a: 1 },
        tags: { customerId: 'c-1' },
        metadata: { correlationId: 'c', causationId: 'c', actor: 'anonymous' },
        recordedAt: outcome.recordedAt,
      },
    ]);
  });
});

describe('a shard', () => {
  test('is read after a seq, page by page, without a hole', async () => {
    await Promise.all(
      Array.from({ length: 30 }, (_, n) => open.store.append({ streams: [order(`p-${n}`, 0, 2)] })),
    );
    for (const shard of [0, 1]) {
      const seqs: number[] = [];
      for (let after = 0; ; after = seqs.at(-1) ?? after) {
        const page = await open.store.readShard('order', shard, after, 7);
        if (page.kind !== 'entries' || page.entries.length === 0) break;
        seqs.push(...page.entries.map(({ seq }) => seq));
        expect(page.entries.every((entry) => entry.shard === shard && entry.category === 'order')).toBe(true);
      }
      expect(seqs.length).toBeGreaterThan(7);
      expect(seqs).toEqual(seqs.map((_, index) => index + 1));
    }
  });

  test('without entries, and beyond its head, is an empty page', async () => {
    const empty = { kind: 'entries', entries: [] };
    expect(await open.store.readShard('account', 0, 0, 10)).toEqual(empty);
    expect(await open.store.readShard('order', 0, 1_000_000, 10)).toEqual(empty);
  });

  test('that is not there is an error', async () => {
    await expect(open.store.readShard('order', 2, 0, 10)).rejects.toMatchObject({ code: 'internal_error' });
    await expect(open.store.readShard('nothing', 0, 0, 10)).rejects.toMatchObject({ code: 'internal_error' });
  });

  test('below its low-water mark answers trimmed, not the next entry that happens to be there', async () => {
    const trimmed = await openStore(pg.url, { schema: 'trimmed', shards: 1 });
    await trimmed.store.append({ streams: [order('t', 0, 10)] });
    await trimmed.db.transaction(async (tx) => {
      await tx.query(`UPDATE ${trimmed.db.table('shards')} SET low = 6 WHERE log = 'order'`);
      await tx.query(`DELETE FROM ${trimmed.db.table('events')} WHERE seq <= 6`);
    });
    for (const after of [0, 5])
      expect(await trimmed.store.readShard('order', 0, after, 10)).toEqual({ kind: 'trimmed', low: 6 });
    const page = await trimmed.store.readShard('order', 0, 6, 10);
    expect(page.kind === 'entries' && page.entries.map(({ seq }) => seq)).toEqual([7, 8, 9, 10]);
    // A hole that nobody may make is never stepped over.
    await trimmed.db.query(`DELETE FROM ${trimmed.db.table('events')} WHERE seq = 8`);
    await expect(trimmed.store.readShard('order', 0, 6, 10)).rejects.toThrow(/read seq 9 where 8 is due/);
    await trimmed.close();
  });
});

describe('a snapshot', () => {
  const state = (n: number): string => JSON.stringify({ n, text: '“日本語”' });

  test('is found for the code that made it; a newer one takes its place, an older one does not', async () => {
    const load = (fingerprint: string) => open.store.loadSnapshot('order', 'snap', fingerprint);
    expect(await load('a')).toBeUndefined();
    await open.store.saveSnapshot('order', 'snap', 'a', { version: 5, state: state(5) });
    expect(await load('a')).toEqual({ version: 5, state: state(5) });
    expect(await load('b')).toBeUndefined();
    expect(await open.store.loadSnapshot('account', 'snap', 'a')).toBeUndefined();
    await open.store.saveSnapshot('order', 'snap', 'a', { version: 3, state: state(3) });
    expect(await load('a')).toEqual({ version: 5, state: state(5) });
    await open.store.saveSnapshot('order', 'snap', 'a', { version: 9, state: state(9) });
    expect(await load('a')).toEqual({ version: 9, state: state(9) });
    await open.store.saveSnapshot('order', 'snap', 'b', { version: 4, state: state(4) });
    expect(await load('a')).toBeUndefined();
    expect(await load('b')).toEqual({ version: 4, state: state(4) });
  });
});
