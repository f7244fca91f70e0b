/** Reading many events at once: whole streams, and all shards in the one order of time. */
import { beforeEach, expect, onTestFinished, test, vi } from 'vitest';
import type { StoredEvent } from '../../../src/domain/events.js';
import { readInTime, readStreams, type ShardRange } from '../../../src/event-store/copy-out.js';
import { timeWindows } from '../../../src/event-store/time-windows.js';
import { silentLogger } from '../../../src/platform/logger.js';
import { Database } from '../../../src/platform/postgres/database.js';
import { migrate } from '../../../src/platform/postgres/migrate.js';
import { loaderDatabase } from '../../support/building.js';
import { writeEvents } from '../../support/many-events.js';
import { freshDatabase } from '../../support/postgres.js';
import { randomFrom } from '../../support/random.js';

const SHARDS = 4;
const seed = Date.now() % 1_000_000;
let db: Database;
let places: {
  readonly connectionString: string;
  readonly schema: string;
  readonly logger: typeof silentLogger;
};

beforeEach(async () => {
  const pg = await freshDatabase();
  db = loaderDatabase(pg.url);
  places = { connectionString: pg.url, schema: 'tidemark', logger: silentLogger };
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

test('a database with a limit on statements neither cuts it off nor holds the process afterwards', async () => {
  await write('note', 1_000, 50);
  const ranges = await rangesOf('note');
  const [set, cleared] = [vi.spyOn(globalThis, 'setTimeout'), vi.spyOn(globalThis, 'clearTimeout')];
  onTestFinished(() => void vi.restoreAllMocks());
  // As the command line has it, and shorter.
  const limited = new Database({ ...places, role: 'limited', max: 2, statementTimeoutMs: 300 });
  const seen: StoredEvent[] = [];
  for await (const page of readInTime(limited, timeWindows(db, ranges))) {
    // Whoever folds takes its time; it ends when Postgres has been kept waiting for longer than a statement may take.
    const until = performance.now() + 120;
    while (performance.now() < until) await new Promise(setImmediate);
    seen.push(...page);
  }
  await limited.end();
  expect(seen).toHaveLength(1_000);
  // pg gives a statement a little longer than Postgres does.
  const timers = set.mock.results.filter((_, at) => [5_300, 300].includes(set.mock.calls[at]?.[1] ?? 0));
  expect(timers.length).toBeGreaterThan(3);
  const ended = new Set(cleared.mock.calls.map(([timer]) => timer));
  expect(timers.filter(({ value }) => !ended.has(value))).toEqual([]);
});
