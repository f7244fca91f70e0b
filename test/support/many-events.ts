/** Thousands of events at once, written as appends write them, for tests of what reads many. */
import { randomUUID } from 'node:crypto';
import type { Database } from '../../src/platform/postgres/database.js';
import { shardOf } from '../../src/platform/murmur2.js';
import { ensureLog } from '../../src/platform/postgres/logs.js';
import { randomFrom } from './random.js';

interface PlannedEvent {
  readonly streamId: string;
  readonly type: string;
  readonly data: unknown;
  readonly tags: Readonly<Record<string, string>>;
}

const METADATA = JSON.stringify({ correlationId: 'test', causationId: 'test', actor: 'anonymous' });

/** Writes events in the order given, a few to a millisecond, as if by group commits. The log must be quiet and empty. */
export async function writeEvents(
  db: Database,
  category: string,
  shards: number,
  events: readonly PlannedEvent[],
): Promise<void> {
  await ensureLog(db, category, shards);
  const heads = new Map<number, number>();
  const versions = new Map<string, number>();
  const next = <K>(counts: Map<K, number>, key: K): number => {
    const value = (counts.get(key) ?? 0) + 1;
    counts.set(key, value);
    return value;
  };
  const placed = events.map((event) => {
    const shard = shardOf(event.streamId, shards);
    return { ...event, shard, seq: next(heads, shard), version: next(versions, event.streamId) };
  });
  await db.query(
    `INSERT INTO ${db.table('events')} (category, shard, seq, stream_id, version, event_id, type, schema_version, data, tags, metadata, recorded_at)
     SELECT $1, u.shard, u.seq, u.stream, u.version, u.id, u.type, 1, u.data, u.tags, $9::json,
       '2026-01-01T00:00:00Z'::timestamptz + (u.n / 7) * interval '1 millisecond'
     FROM unnest($2::int[], $3::bigint[], $4::text[], $5::bigint[], $6::uuid[], $7::text[], $8::json[], $10::json[])
       WITH ORDINALITY AS u(shard, seq, stream, version, id, type, data, tags, n)`,
    [
      category,
      placed.map(({ shard }) => shard),
      placed.map(({ seq }) => seq),
      placed.map(({ streamId }) => streamId),
      placed.map(({ version }) => version),
      placed.map(() => randomUUID()),
      placed.map(({ type }) => type),
      placed.map(({ data }) => JSON.stringify(data)),
      METADATA,
      placed.map(({ tags }) => JSON.stringify(tags)),
    ],
  );
}

/** What the accounts of test/support/bank.ts might have lived through; streams interleaved. */
export function bankEvents(count: number, seed: number): PlannedEvent[] {
  const random = randomFrom(seed);
  const streams = Math.max(1, Math.floor(count / 8));
  const opened = new Set<number>();
  const owner = (): string => `owner-${random(count / 20)}`;
  return Array.from({ length: count }, () => {
    const n = random(streams);
    const streamId = `a-${n}`;
    const tags = { owner: owner() };
    if (!opened.has(n)) {
      opened.add(n);
      return { streamId, type: 'Opened', data: { owner: owner() }, tags };
    }
    const kind = random(20);
    if (kind === 0) return { streamId, type: 'Noted', data: { text: owner() }, tags };
    if (kind === 1)
      return { streamId, type: 'Moved', data: { to: [owner(), owner()], cents: random(100) }, tags };
    if (kind === 2) return { streamId, type: 'Closed', data: {}, tags };
    return { streamId, type: 'Paid', data: { cents: random(500), note: 'n'.repeat(random(80)) }, tags };
  });
}
