/** Reading many events at once: whole streams, and all shards in the one order of time. */
import { beforeEach, expect, onTestFinished, test } from 'vitest';
import type { StoredEvent } from '../../../src/domain/events.js';
import { readInTime, readStreams, type ShardRange } from '../../../src/event-store/copy-out.js';
import { timeWindows } from '../../../src/event-store/time-windows.js';
import type { Database } from '../../../src/platform/postgres/database.js';
import { migrate } from '../../../src/platform/postgres/migrate.js';
import { loaderDatabase } from '../../support/building.js';
import { writeEvents } from '../../support/many-events.js';
import { freshDatabase } from '../../support/postgres.js';
import { randomFrom } from '../../support/random.js';

const SHARDS = 4;
const seed = Date.now() % 1_000_000;
let db: Database;

beforeEach(async () => {
  const pg = await freshDatabase();
  db = loaderDatabase(pg.url);
  onTestFinished(async () => {
    await db.end();
    await pg.drop();
  });
  await migrate(db);
});

async function write(category: string, count: number, streams: number): Promise<void> {
  const random = randomFrom(seed + count);
  const events = Array.from({ length: count }, (_, n) => ({
    streamId: `s-${random(streams)}`,
    type: 'Noted',
    data: { n, text: n % 7 === 0 ? 'tab\tline\nback\\slash "🦑" \\N' : 'plain' },
    tags: n % 3 === 0 ? {} : { of: `t-${n % 5}\t` },
  }));
  await writeEvents(db, category, SHARDS, events);
}

async function rangesOf(...categories: string[]): Promise<ShardRange[]> {
  const rows = await db.query<[string, number, number]>(
    `SELECT category, shard, max(seq) FROM tidemark.events WHERE category = ANY ($1) GROUP BY 1, 2 ORDER BY 1, 2`,
    [categories],
  );
  return rows.map(([category, shard, upto]) => ({ category, shard, after: 0, upto }));
}

const idOf = ({ category, shard, seq }: StoredEvent): string => `${category}/${shard}/${seq}`;

test('whole streams, shard by shard, as they were written', async () => {
  await write('note', 3_000, 200);
  const ranges = await rangesOf('note');
  const seen: StoredEvent[] = [];
  for await (const { range, events } of readStreams(db, ranges)) {
    const own: StoredEvent[] = [];
    for await (const page of events) own.push(...page);
    expect(own.every(({ shard }) => shard === range.shard)).toBe(true);
    const streams = own.map(({ streamId }) => streamId);
    // Each stream stands together, from its first event on.
    expect(streams.filter((id, n) => id !== streams[n - 1])).toHaveLength(new Set(streams).size);
    const versions = new Map<string, number>();
    for (const { streamId, version } of own) {
      expect(version).toBe((versions.get(streamId) ?? 0) + 1);
      versions.set(streamId, version);
    }
    seen.push(...own);
  }
  expect(seen).toHaveLength(3_000);
  const [first] = seen.filter(({ data }) => (data as { n: number }).n === 0);
  expect(first).toMatchObject({
    category: 'note',
    type: 'Noted',
    schemaVersion: 1,
    data: { n: 0, text: 'tab\tline\nback\\slash "🦑" \\N' },
    tags: {},
    metadata: { correlationId: 'test', causationId: 'test', actor: 'anonymous' },
    recordedAt: '2026-01-01T00:00:00.000Z',
  });
});

test('whoever does not want the rest of a shard gets the next one', async () => {
  await write('note', 2_000, 200);
  const seen = new Set<number>();
  for await (const { events } of readStreams(db, await rangesOf('note'))) {
    for await (const [event] of events) {
      if (event) seen.add(event.shard);
      break;
    }
  }
  expect(seen.size).toBe(SHARDS);
});

test('all shards of several logs in the order of time, each event once, from wherever it begins', async () => {
  console.log(`seed ${seed}`);
  await write('note', 2_500, 60);
  await write('other', 1_200, 3);
  const order = await db.query<[string, number, number]>(
    `SELECT category, shard, seq FROM tidemark.events ORDER BY recorded_at, category, shard, seq`,
  );
  const all = order.map(([category, shard, seq]) => `${category}/${shard}/${seq}`);
  const random = randomFrom(seed);
  const ranges = await rangesOf('note', 'other');
  for (const begin of [0, random(all.length), all.length - 1, all.length]) {
    // What was read before is a beginning of the order, so that the rest is its end.
    const read = new Set(all.slice(0, begin));
    const left = ranges.map((range) => {
      const done = all.filter((id) => read.has(id) && id.startsWith(`${range.category}/${range.shard}/`));
      return { ...range, after: done.length };
    });
    const seen: string[] = [];
    let windows = 0;
    const counted = async function* (): AsyncGenerator<readonly ShardRange[]> {
      for await (const window of timeWindows(db, left, 100)) {
        windows++;
        yield window;
      }
    };
    for await (const page of readInTime(db, counted())) seen.push(...page.map(idOf));
    expect({ seed, seen }).toEqual({ seed, seen: all.slice(begin) });
    expect(windows).toBeGreaterThanOrEqual(Math.floor((all.length - begin) / 400));
  }
});

test('events of one time are one window, however many they are', async () => {
  await write('note', 1_000, 50);
  await db.query(`UPDATE tidemark.events SET recorded_at = '2026-01-01'`);
  const windows: (readonly ShardRange[])[] = [];
  for await (const window of timeWindows(db, await rangesOf('note'), 10)) windows.push(window);
  expect(windows).toHaveLength(1);
  expect(windows[0]).toEqual(await rangesOf('note'));
});

test('a hole is an error, not what is read past', async () => {
  await write('note', 500, 50);
  const ranges = await rangesOf('note');
  await db.query(`DELETE FROM tidemark.events WHERE shard = 2 AND seq = 7`);
  const read = async (): Promise<void> => {
    for await (const page of readInTime(db, timeWindows(db, ranges))) expect(page).not.toHaveLength(0);
  };
  await expect(read()).rejects.toThrow(/log "note" shard 2: read seq 8 where 7 is due/);
});
