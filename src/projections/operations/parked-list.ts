/** Which keys are parked, and what waits behind one: what `tidemark parked list|show` and `GET /ops/parked…` tell. */
import { idFault } from '../../domain/identifiers.js';
import { TidemarkError } from '../../platform/errors.js';
import type { Database } from '../../platform/postgres/database.js';
import { showProjection } from './list.js';
import {
  selectLastSkipped,
  selectOneParked,
  selectParked,
  selectQueue,
  selectSkipped,
  selectSkippedCount,
} from './statements.js';
import type { ParkedDetails, ParkedReport, QueuedEvent, SkippedEvent, VersionName } from './types.js';

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

type EventPlace = readonly [source: string, shard: number, seq: number, streamId: string, type: string];

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

const notParked = ({ projection, key, version, part = '' }: ParkedName, more = ''): TidemarkError => {
  const shown = part === '' ? JSON.stringify(key) : `${part} ${JSON.stringify(key)}`;
  const where = version === undefined ? projection : `${projection} v${version}`;
  return new TidemarkError('not_parked', `${shown} is not parked in ${where}${more}`);
};

/** Of a key that is not parked (any more): what an operator had left out of it, and why; empty where that is nothing. */
async function lastSkipped(
  db: Database,
  { projection, key, version, part = '' }: ParkedName,
): Promise<string> {
  type Skipped = [version: number, at: string, why: string, ...event: EventPlace];
  const place = [projection, part, key, version ?? null];
  const [row] = await db.query<Skipped>(selectLastSkipped(db), place);
  if (!row) return '';
  const [of, at, why, source, shard, seq, streamId, type] = row;
  const event = `${source}.${type} (stream ${JSON.stringify(streamId)}, shard ${shard} seq ${seq})`;
  return `; v${of} is without ${event}, skipped at ${at}: ${why}`;
}

/** Events that a build of the version would fold, though an operator skipped them. */
export async function countSkipped(db: Database, { name, version }: VersionName): Promise<number> {
  const [row] = await db.query<[number]>(selectSkippedCount(db), [name, version]);
  return row?.[0] ?? 0;
}

/** @throws TidemarkError `unknown_projection`, `not_parked`, which says what was skipped */
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
  if (!row) throw notParked(name, await lastSkipped(db, name));
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
