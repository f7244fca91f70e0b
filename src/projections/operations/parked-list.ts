/** Which keys are parked, and what waits behind one: what `tidemark parked list|show` and `GET /ops/parked…` tell. */
import { idFault } from '../../domain/identifiers.js';
import { TidemarkError } from '../../platform/errors.js';
import type { Database } from '../../platform/postgres/database.js';
import { showProjection } from './list.js';
import { selectOneParked, selectParked, selectQueue, selectSkipped } from './statements.js';
import type { ParkedDetails, ParkedReport, QueuedEvent, SkippedEvent } from './types.js';

type Columns = readonly [
  projection: string,
  version: number,
  part: string,
  key: string,
  source: string,
  shard: number,
  seq: number,
  streamId: string,
  type: string,
  error: string,
  attempts: number,
  parkedAt: string,
  queued: number,
];

type EventColumns = readonly [
  source: string,
  shard: number,
  seq: number,
  streamId: string,
  type: string,
  streamVersion: number,
  recordedAt: string,
];

const FIRST_EVENTS = 20;

function reportOf(columns: Columns): ParkedReport {
  const [projection, version, part, key, source, shard, seq, streamId, type, ...rest] = columns;
  const [error, attempts, parkedAt, queued] = rest;
  const event = { source, shard, seq, streamId, type };
  return { projection, version, part, key, event, error, attempts, parkedAt, queued };
}

function eventOf([source, shard, seq, streamId, type, streamVersion, recordedAt]: EventColumns): QueuedEvent {
  return { source, shard, seq, streamId, type, streamVersion, recordedAt };
}

/**
 * @param options.limit keys at the most, the longest parked first
 * @returns `total` counts all of them
 * @throws TidemarkError `unknown_projection`, with those that there are
 */
export async function listParked(
  db: Database,
  { projection, limit }: { readonly projection?: string | undefined; readonly limit: number },
): Promise<{ readonly items: readonly ParkedReport[]; readonly total: number }> {
  if (projection !== undefined) await showProjection(db, projection);
  const rows = await db.query<[number, ...Columns]>(selectParked(db), [projection ?? null, limit]);
  return { items: rows.map(([, ...columns]) => reportOf(columns)), total: rows[0]?.[0] ?? 0 };
}

/** Names a parked key. */
export interface ParkedName {
  readonly projection: string;
  readonly key: string;
  /** The newest that has the key parked without it. */
  readonly version?: number | undefined;
  /** Of a joined stream, the aggregate. */
  readonly part?: string | undefined;
}

const notParked = ({ projection, key, version, part = '' }: ParkedName): TidemarkError => {
  const shown = part === '' ? JSON.stringify(key) : `${part} ${JSON.stringify(key)}`;
  const where = version === undefined ? projection : `${projection} v${version}`;
  return new TidemarkError('not_parked', `${shown} is not parked in ${where}`);
};

/** @throws TidemarkError `unknown_projection`, `not_parked` */
export async function showParked(db: Database, name: ParkedName): Promise<ParkedDetails> {
  const { projection, key, version, part = '' } = name;
  await showProjection(db, projection);
  // Postgres would refuse it as a text.
  if (idFault(key) !== undefined || part.includes('\u0000')) throw notParked(name);
  const [row] = await db.query<[string | null, ...Columns]>(selectOneParked(db), [
    projection,
    part,
    key,
    version ?? null,
  ]);
  if (!row) throw notParked(name);
  const [group, ...columns] = row;
  const report = reportOf(columns);
  const place = [projection, report.version, part, key, FIRST_EVENTS];
  const queue = await db.query<EventColumns>(selectQueue(db), place);
  const skipped = await db.query<[string, string, ...EventColumns]>(selectSkipped(db), place);
  // What our own statement put together.
  const together = JSON.parse(group ?? '[]') as readonly (readonly [string, string])[];
  return {
    ...report,
    events: queue.map(eventOf),
    skipped: skipped
      .toReversed()
      .map(([skippedAt, why, ...event]): SkippedEvent => ({ ...eventOf(event), skippedAt, why })),
    together: together.map(([itsPart, itsKey]) => ({ part: itsPart, key: itsKey })),
  };
}
