/** Writers in several processes, one of them killed: the log has no hole, nothing twice, and what was acknowledged. */
import { spawn, type ChildProcess } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Got, Sent } from '../../support/appending-child.js';
import { allEvents, faultsOf, openStore, type LogRow, type OpenStore } from '../../support/event-store.js';
import { freshDatabase, type FreshDatabase } from '../../support/postgres.js';

const PROGRAM = fileURLToPath(new URL('../../support/appending-child.ts', import.meta.url));
const SHARDS = 4;

interface Writer {
  readonly child: ChildProcess;
  readonly sent: Map<number, Sent>;
  readonly got: Map<number, Got>;
  readonly ended: Promise<unknown>;
}

let pg: FreshDatabase;
let open: OpenStore;

beforeAll(async () => {
  pg = await freshDatabase();
  open = await openStore(pg.url, { shards: SHARDS });
});
afterAll(async () => {
  await open.close();
  await pg.drop();
});

function startWriter(seed: number, requests: number): Writer {
  const child = spawn(
    process.execPath,
    ['--import', 'tsx', PROGRAM, pg.url, String(seed), String(requests)],
    {
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  );
  const sent = new Map<number, Sent>();
  const got = new Map<number, Got>();
  const lines = createInterface({ input: child.stdout });
  lines.on('line', (text) => {
    const line: Sent | Got = JSON.parse(text);
    if (line.t === 'sent') sent.set(line.n, line);
    else got.set(line.n, line);
  });
  return { child, sent, got, ended: Promise.all([once(child, 'exit'), once(lines, 'close')]) };
}

/** Reads all shards again and again, to their ends once it is over; a hole in what it can see at any time is an error of `readShard`. */
async function follow(isOver: () => boolean): Promise<number[]> {
  const reached = Array.from({ length: SHARDS }, () => 0);
  for (let last = false; ; last = isOver()) {
    let found = false;
    for (let shard = 0; shard < SHARDS; shard++) {
      const page = await open.store.readShard('order', shard, reached[shard] ?? 0, 50);
      const end = page.kind === 'entries' ? page.entries.at(-1) : undefined;
      if (!end) continue;
      found = true;
      reached[shard] = end.seq;
    }
    if (last && !found) return reached;
  }
}

/** What the writer was told, held against what is there. */
function checkWriter({ sent, got }: Writer, byId: ReadonlyMap<string, LogRow>): void {
  for (const { n, streams, bad } of sent.values()) {
    const ids = streams.flatMap((stream) => stream.ids);
    const there = ids.filter((id) => byId.has(id));
    // All or nothing, also where nobody was told.
    expect([0, ids.length]).toContain(there.length);
    const outcome = got.get(n)?.outcome;
    if (outcome === undefined) continue;
    if (outcome.kind !== 'appended') {
      expect(there).toEqual([]);
      if (outcome.kind === 'failed') expect(outcome).toMatchObject({ code: 'append_refused' });
      if (outcome.kind === 'failed') expect(bad).toBe(true);
      continue;
    }
    outcome.streams.forEach((stream, at) => {
      const expected = streams[at]?.expected;
      const before = stream.version - stream.events.length;
      if (typeof expected === 'number') expect(before).toBe(expected);
      if (expected === 'exists') expect(before).toBeGreaterThan(0);
      const rows = stream.events.map(({ eventId }) => byId.get(eventId));
      expect(rows.map((row) => row?.version)).toEqual(stream.events.map(({ version }) => version));
      if (rows.length > 0) expect(rows.at(-1)).toMatchObject({ seq: stream.seq, shard: stream.shard });
    });
  }
}

test('three processes write, one is killed with -9', async () => {
  const seed = randomInt(1_000_000);
  console.log(`seed ${seed}`);
  const requests = 400;
  const writers = [0, 1, 2].map((n) => startWriter(seed + n, requests));
  const [victim] = writers;
  let over = false;
  const followed = follow(() => over);
  await expect.poll(() => victim?.got.size ?? 0, { timeout: 60_000, interval: 5 }).toBeGreaterThan(50);
  victim?.child.kill('SIGKILL');
  await Promise.all(writers.map(({ ended }) => ended));
  over = true;
  const reached = await followed;

  expect(victim?.got.size).toBeLessThan(requests);
  for (const { got } of writers.slice(1)) expect(got.size).toBe(requests);
  const rows = await allEvents(open.db);
  expect(faultsOf(rows)).toEqual([]);
  const byId = new Map(rows.map((row) => [row.eventId, row]));
  for (const writer of writers) checkWriter(writer, byId);
  // Nothing is there that nobody sent, and a key was used once.
  const ids = writers.flatMap(({ sent }) =>
    [...sent.values()].flatMap(({ streams }) => streams.flatMap((one) => one.ids)),
  );
  expect(rows.filter(({ eventId }) => !new Set(ids).has(eventId))).toEqual([]);
  const keys = writers.flatMap(({ sent, got }) =>
    [...got.values()].flatMap(({ n, outcome }) => (outcome.kind === 'appended' ? [sent.get(n)?.key] : [])),
  );
  const used = keys.filter((key) => key !== undefined);
  expect(new Set(used).size).toBe(used.length);
  // Whoever followed all the while has seen every shard to its end.
  for (const [shard, head] of reached.entries())
    expect(head).toBe(rows.filter((row) => row.category === 'order' && row.shard === shard).length);
});
