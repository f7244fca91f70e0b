/** An event store on a fresh schema, and short ways to say what is appended. */
import { createHash } from 'node:crypto';
import { v7 } from 'uuid';
import type { EventStoreOptionsInput } from '../../src/event-store/options.js';
import { PostgresEventStore } from '../../src/event-store/store.js';
import type {
  AppendOutcome,
  ExpectedVersion,
  IdempotencyClaim,
  NewEvent,
  StreamAppend,
} from '../../src/event-store/types.js';
import { silentLogger } from '../../src/platform/logger.js';
import { Database, type DatabaseOptions } from '../../src/platform/postgres/database.js';
import { migrate } from '../../src/platform/postgres/migrate.js';
import type { Announcer } from '../../src/platform/wakeups.js';

export interface OpenStore {
  readonly db: Database;
  readonly store: PostgresEventStore;
  /** What was announced, in order. */
  readonly announced: readonly (readonly [log: string, shard: number, seq: number])[];
  close(): Promise<void>;
}

export interface OpenStoreOptions {
  readonly schema?: string;
  readonly categories?: readonly string[];
  readonly shards?: number;
  readonly database?: Partial<DatabaseOptions>;
  readonly options?: EventStoreOptionsInput;
}

export async function openStore(url: string, given: OpenStoreOptions = {}): Promise<OpenStore> {
  const db = new Database({
    connectionString: url,
    schema: given.schema ?? 'tidemark',
    role: 'event-store',
    logger: silentLogger,
    max: 6,
    ...given.database,
  });
  await migrate(db);
  const announced: [string, number, number][] = [];
  const announcer: Announcer = { announce: (log, shard, seq) => announced.push([log, shard, seq]) };
  const store = new PostgresEventStore(
    {
      database: db,
      categories: given.categories ?? ['order', 'account'],
      shards: given.shards ?? 16,
      announcer,
      logger: silentLogger,
    },
    given.options,
  );
  await store.start();
  return {
    db,
    store,
    announced,
    async close() {
      await store.stop();
      await db.end();
    },
  };
}

export function newEvent(fields: Partial<NewEvent> = {}): NewEvent {
  return {
    eventId: v7(),
    type: 'Happened',
    schemaVersion: 1,
    data: '{"a":1}',
    tags: {},
    metadata: { correlationId: 'c', causationId: 'c', actor: 'anonymous' },
    ...fields,
  };
}

export const newEvents = (count: number): NewEvent[] => Array.from({ length: count }, () => newEvent());

/** So many new events for a stream of `order`. */
export const order = (streamId: string, expected: ExpectedVersion, count = 1): StreamAppend => ({
  category: 'order',
  streamId,
  expected,
  events: newEvents(count),
});

export const account = (streamId: string, expected: ExpectedVersion, count = 1): StreamAppend => ({
  ...order(streamId, expected, count),
  category: 'account',
});

/** @param request what makes the request the same request */
export const claim = (key: string, request = 'request', record = true): IdempotencyClaim => ({
  scope: 'anonymous/order/place',
  key,
  requestHash: createHash('sha256').update(request).digest(),
  record,
});

/** The outcome where it must be `appended`. */
export function appended(outcome: AppendOutcome): Extract<AppendOutcome, { kind: 'appended' }> {
  if (outcome.kind !== 'appended') throw new Error(`expected appended, got ${JSON.stringify(outcome)}`);
  return outcome;
}

export interface LogRow {
  readonly category: string;
  readonly shard: number;
  readonly seq: number;
  readonly streamId: string;
  readonly version: number;
  readonly eventId: string;
  readonly recordedAt: string;
}

/** All events, by log position. */
export async function allEvents(db: Database): Promise<LogRow[]> {
  const rows = await db.query<[string, number, number, string, number, string, string]>(
    `SELECT category, shard, seq, stream_id, version, event_id, recorded_at FROM ${db.table('events')} ORDER BY category, shard, seq`,
  );
  return rows.map(([category, shard, seq, streamId, version, eventId, recordedAt]) => ({
    category,
    shard,
    seq,
    streamId,
    version,
    eventId,
    recordedAt,
  }));
}

/** What every event log promises, whatever happened: seqs and versions 1, 2, 3, …, times that only rise, no event twice. */
export function faultsOf(rows: readonly LogRow[]): string[] {
  const faults: string[] = [];
  const seqs = new Map<string, LogRow>();
  const versions = new Map<string, number>();
  const ids = new Set<string>();
  for (const row of rows) {
    const shard = `${row.category}/${row.shard}`;
    const last = seqs.get(shard);
    if (row.seq !== (last?.seq ?? 0) + 1) faults.push(`${shard}: seq ${row.seq} after ${last?.seq ?? 0}`);
    if (last && row.recordedAt < last.recordedAt) faults.push(`${shard}: time runs backwards at ${row.seq}`);
    seqs.set(shard, row);
    const stream = `${row.category}/${row.streamId}`;
    const version = versions.get(stream) ?? 0;
    if (row.version !== version + 1) faults.push(`${stream}: version ${row.version} after ${version}`);
    versions.set(stream, row.version);
    if (ids.has(row.eventId)) faults.push(`event ${row.eventId} twice`);
    ids.add(row.eventId);
  }
  return faults;
}
