/** What the relay reads is what everybody reads, as text; and each entry knows the one before it. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readRawShard } from '../../../src/event-store/raw-reads.js';
import { readChanges, readRawChanges } from '../../../src/projections/change-log.js';
import { bank, SHARDS } from '../../support/bank.js';
import { freshDatabase, type FreshDatabase } from '../../support/postgres.js';
import { append, startProjecting, type ProjectingProcess } from '../../support/projecting.js';

const LOG = 'accounts.v1';

let pg: FreshDatabase;
let one: ProjectingProcess;

beforeEach(async () => {
  pg = await freshDatabase();
  one = await startProjecting(pg.url, bank);
});
afterEach(async () => {
  await one.stop();
  await pg.drop();
});

const paid = (cents: number, note: string) => ({
  type: 'Paid',
  data: { cents, note },
  tags: { owner: 'ä"\\' },
});

async function pages<E extends { readonly seq: number }>(
  read: (after: number) => Promise<{ kind: 'entries'; entries: readonly E[] } | { kind: 'trimmed' }>,
): Promise<E[]> {
  const all: E[] = [];
  for (;;) {
    const page = await read(all.at(-1)?.seq ?? 0);
    if (page.kind === 'trimmed') throw new Error('trimmed');
    if (page.entries.length === 0) return all;
    all.push(...page.entries);
  }
}

describe('raw pages', () => {
  // Short pages, and long ones, are read by different statements.
  it.each([3, 500])('of events, %i at the most', async (limit) => {
    const events = [
      { type: 'Opened', data: { owner: 'ann' } },
      ...[1, 2, 3, 4, 5].map((n) => paid(n, `ünï "${n}" \u2028`)),
    ];
    await Promise.all([1, 2, 3, 4, 5, 6].map((n) => append(one.store, 'account', `a-${n}`, events)));
    let count = 0;
    for (let shard = 0; shard < SHARDS; shard++) {
      const raw = await pages((after) => readRawShard(one.db, 'account', shard, after, limit));
      const plain = await pages((after) => one.store.readShard('account', shard, after, limit));
      count += raw.length;
      const parsed = raw.map(({ kind: _kind, epoch: _epoch, follows: _follows, data, tags, ...rest }) => ({
        ...rest,
        data: JSON.parse(data),
        tags: JSON.parse(tags),
      }));
      expect(parsed).toEqual(plain);
      expect(raw.map(({ follows }) => follows)).toEqual(
        [null, ...plain.map(({ eventId }) => eventId)].slice(0, plain.length),
      );
    }
    expect(count).toBe(36);
  });

  it.each([3, 500])('of changes, %i at the most', async (limit) => {
    for (let round = 0; round < 3; round++) {
      await Promise.all(
        [1, 2, 3, 4, 5].map((n) =>
          append(one.store, 'account', `a-${n}`, [{ type: 'Opened', data: { owner: `o${round}` } }]),
        ),
      );
      await one.caughtUp();
    }
    let count = 0;
    for (let shard = 0; shard < SHARDS; shard++) {
      const raw = await pages((after) => readRawChanges(one.db, 'accounts', LOG, shard, after, limit));
      const plain = await pages((after) => readChanges(one.db, LOG, shard, after, limit));
      count += raw.length;
      const parsed = raw.map(
        ({ kind: _kind, projection: _projection, follows: _follows, before, ...rest }) => ({
          ...rest,
          before: before === null ? null : JSON.parse(before),
        }),
      );
      expect(parsed).toEqual(plain);
      expect(raw.map(({ follows }) => follows)).toEqual(
        [null, ...plain.map(({ recordedAt }) => recordedAt)].slice(0, plain.length),
      );
    }
    expect(count).toBeGreaterThanOrEqual(15);
  });

  it('say what was trimmed, and that there is no such shard', async () => {
    await one.db.query('UPDATE tidemark.shards SET low = 7 WHERE shard = 1');
    await expect(readRawShard(one.db, 'account', 1, 6, 10)).resolves.toEqual({ kind: 'trimmed', low: 7 });
    await expect(readRawChanges(one.db, 'accounts', LOG, 1, 6, 10)).resolves.toEqual({
      kind: 'trimmed',
      low: 7,
    });
    await expect(readRawShard(one.db, 'account', 99, 0, 10)).rejects.toMatchObject({
      code: 'internal_error',
    });
    await expect(readRawChanges(one.db, 'x', 'nothing', 0, 0, 10)).rejects.toMatchObject({
      code: 'unknown_log',
    });
  });
});
