/** Writes what a batch changed: builds the one call of apply.ts, and says what its errors mean. */
import type { AnyProjection } from '../domain/projection.js';
import { int4Array, int8Array, jsonArray, textArray } from '../platform/postgres/arrays.js';
import { Database, type Queryable } from '../platform/postgres/database.js';
import type { Lease } from '../platform/postgres/leases.js';
import { sortByBytes } from '../platform/postgres/logs.js';
import { shardOf } from '../platform/murmur2.js';
import { isRefused, isRetryable, sqlState } from '../platform/postgres/sqlstate.js';
import { jittered } from '../platform/pause.js';
import type { Recent } from '../platform/recent.js';
import { APPLY_ERRORS } from './apply.js';
import { rowToJson } from './columns.js';
import type { Touched } from './fold.js';
import { applyFunction, changeLogOf } from './names.js';
import type { KnownRow } from './rows.js';
import type { ChangeEntry, ChannelValue } from './types.js';

/** What must still hold when a batch is written. */
export interface Fence {
  /** Epoch of the change log. */
  readonly epoch: string;
  /** Of a projection over many streams: the writer's lease. */
  readonly lease: Lease | undefined;
}

/** A checkpoint moves from where its worker left it. */
export interface Progress {
  readonly source: string;
  readonly shard: number;
  readonly from: number;
  readonly til: number;
  /** The last event that goes into what is written: Postgres must have it. Absent where no event does. */
  readonly seen?: { readonly seq: number; readonly eventId: string };
}

/** A row that is to be written. */
export interface Change {
  readonly key: string;
  readonly before: KnownRow;
  readonly after: Omit<KnownRow, 'rev'>;
}

/** A database, or a transaction of one. */
export type Writer = Queryable & Pick<Database, 'table'>;

export type ConflictKind = keyof typeof APPLY_ERRORS;

/** Somebody else was there, or Postgres does not have the events: nothing was written, and what this worker knows is of another time. */
export class WriteConflict extends Error {
  override readonly name = 'WriteConflict';
  readonly kind: ConflictKind;

  constructor(kind: ConflictKind, cause: unknown) {
    super(kind === 'ghost' ? 'an event is not in Postgres' : `another worker was there (${kind})`, { cause });
    this.kind = kind;
  }
}

const CONFLICTS: readonly ConflictKind[] = [
  'checkpoint',
  'fenced',
  'row',
  'epoch',
  'state',
  'parked',
  'ghost',
];
const RETRIES = 5;
const UNIQUE_VIOLATION = '23505';

/** One batch: the whole transaction, arguments as of `createApply`. A named statement: its plan is a call and no more. */
const callApply = (db: Writer, projection: AnyProjection): string =>
  `SELECT heads, written, waiting FROM ${db.table(applyFunction(projection))}($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22)`;

const isKeyOfTable = (error: unknown): boolean =>
  !(error instanceof Error && 'constraint' in error && !String(error.constraint).startsWith('_pk_'));

/** What an error of a write means; undefined when it is no conflict. */
export function conflictOf(error: unknown): WriteConflict | undefined {
  const state = sqlState(error);
  // Of a unique index that somebody put on the table: refused, as any other constraint.
  if (state === UNIQUE_VIOLATION && isKeyOfTable(error)) return new WriteConflict('row', error);
  for (const kind of CONFLICTS) {
    if (state === APPLY_ERRORS[kind]) return new WriteConflict(kind, error);
  }
  return undefined;
}

/** Postgres refuses what events make. What a change log cannot take, say for want of a partition, is no event's fault. */
export const isRowRefused = (error: unknown): boolean =>
  isRefused(error) &&
  !(error instanceof Error && 'table' in error && String(error.table).startsWith('_log_'));

/** The changes of a batch are too large for one call; of fewer events they may not be. */
export class BatchTooLarge extends Error {
  override readonly name = 'BatchTooLarge';
}

/**
 * Rows that are not as they were.
 * @param maxChars JSON text of the changed rows at the most, in characters
 * @throws BatchTooLarge
 */
export function changesOf(
  projection: AnyProjection,
  touched: ReadonlyMap<string, Touched>,
  maxChars: number,
): Change[] {
  const changes: Change[] = [];
  let chars = 0;
  for (const [key, { before, row }] of touched) {
    const json = row === null ? null : rowToJson(projection, row);
    if (json === before.json) continue;
    changes.push({ key, before, after: { row, json } });
    chars += json?.length ?? 0;
    if (chars > maxChars) throw new BatchTooLarge(`more than ${maxChars} characters of rows`);
  }
  return changes;
}

type ChannelsBefore = Readonly<Record<string, ChannelValue>> | null;

/** @param names fields of all channels */
function channelsBefore(names: ReadonlySet<string>, before: KnownRow): ChannelsBefore {
  if (before.row === null) return null;
  const values: Record<string, ChannelValue> = {};
  for (const name of names) {
    const value = before.row[name];
    values[name] =
      typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean' ? value : null;
  }
  return values;
}

interface Placed {
  readonly ordered: readonly Change[];
  /** Of each change: the values of its channels before it. */
  readonly channels: readonly ChannelsBefore[];
  /** Change shards, ascending. */
  readonly into: readonly number[];
  /** Of each change: its shard’s place in `into` (from 1), and its place among those of that shard (from 1). */
  readonly at: readonly number[];
  readonly off: readonly number[];
  /** Of each shard of `into`. */
  readonly counts: readonly number[];
}

/** The changes in lock order, and where in the change log each will stand. */
function place({ channels }: AnyProjection, changes: readonly Change[], shards: number): Placed {
  const byKey = new Map(changes.map((change) => [change.key, change]));
  const ordered = sortByBytes([...byKey.keys()]).flatMap((key) => byKey.get(key) ?? []);
  const shard = ordered.map(({ key }) => shardOf(key, shards));
  const into = [...new Set(shard)].sort((a, b) => a - b);
  const index = new Map(into.map((one, n) => [one, n]));
  const counts = into.map(() => 0);
  const at: number[] = [];
  const off: number[] = [];
  for (const one of shard) {
    const n = index.get(one) ?? 0;
    counts[n] = (counts[n] ?? 0) + 1;
    at.push(n + 1);
    off.push(counts[n] ?? 0);
  }
  const names = new Set(channels.flat());
  return {
    ordered,
    channels: ordered.map(({ before }) => channelsBefore(names, before)),
    into,
    at,
    off,
    counts,
  };
}

export interface Written {
  readonly rows: readonly { readonly key: string; readonly row: KnownRow }[];
  /** What was written to the change log, in the order of each shard. */
  readonly entries: readonly ChangeEntry[];
  /** New heads of the change shards that were touched. */
  readonly heads: readonly { readonly shard: number; readonly seq: number }[];
  /** After a release of parked keys: how many events still wait behind them. */
  readonly waiting: number;
}

/** What is written beside rows and checkpoints: parked keys, parts of streams. */
export interface ParkedWrite {
  /** The argument of `park_v1`: events that wait, and the keys that they wait behind. */
  readonly parking?: string | undefined;
  /** The argument of `unpark_v1`: events that are in now, of keys that are parked. */
  readonly release?: string | undefined;
  /** Where rows are made of parts of streams: those that are written, and what the rows were made from (parts/). */
  readonly parts?: string | undefined;
}

/** The arguments of the function of apply.ts. */
function argumentsOf(
  fence: Fence,
  progress: readonly Progress[],
  { ordered, channels, into, at, off }: Placed,
  { parking, release, parts }: ParkedWrite,
): unknown[] {
  const gone = ordered.filter(({ after }) => after.json === null).map(({ key }) => key);
  return [
    fence.epoch,
    progress.map(({ source }) => source),
    progress.map(({ shard }) => shard),
    progress.map(({ from }) => from),
    progress.map(({ til }) => til),
    progress.map(({ seen }) => seen?.seq ?? null),
    progress.map(({ seen }) => seen?.eventId ?? null),
    fence.lease?.scope ?? null,
    fence.lease?.holder ?? null,
    fence.lease?.term ?? null,
    int4Array(into),
    textArray(ordered.map(({ key }) => key)),
    int8Array(ordered.map(({ before }) => before.rev)),
    int4Array(at),
    int4Array(off),
    jsonArray(channels.map((values) => (values === null ? undefined : JSON.stringify(values)))),
    jsonArray(ordered.map(({ after }) => after.json ?? undefined)),
    ordered.filter(({ before }) => before.rev > 0).length,
    textArray(gone),
    parking ?? null,
    release ?? null,
    parts ?? null,
  ];
}

/**
 * Moves the checkpoints and writes the changes, all or nothing.
 * @param db the database; a transaction where it is part of one, which then must be begun again on a conflict
 * @param shards count of the change log's shards
 * @throws WriteConflict; what Postgres refuses (`isRowRefused`) and connection errors as they come
 */
export async function writeBatch(
  db: Writer,
  projection: AnyProjection,
  fence: Fence,
  progress: readonly Progress[],
  changes: readonly Change[],
  shards: number,
  beside: ParkedWrite = {},
): Promise<Written> {
  const placed = place(projection, changes, shards);
  const values = argumentsOf(fence, progress, placed, beside);
  const { heads, recordedAt, waiting } = await call(db, projection, values);
  const { ordered, channels, into, at, off, counts } = placed;
  const log = changeLogOf(projection);
  const seqAt = (n: number): number => (heads[(at[n] ?? 1) - 1] ?? 0) + (off[n] ?? 0);
  const entries = ordered.map(({ key, after }, n): ChangeEntry => {
    const shard = into[(at[n] ?? 1) - 1] ?? 0;
    return {
      log,
      shard,
      epoch: fence.epoch,
      seq: seqAt(n),
      key,
      before: channels[n] ?? null,
      row: after.json,
      recordedAt,
    };
  });
  const rows = ordered.map(({ key, after }, n) => ({
    key,
    row: { ...after, rev: after.json === null ? 0 : seqAt(n) },
  }));
  return {
    rows,
    entries,
    heads: into.map((shard, n) => ({ shard, seq: (heads[n] ?? 0) + (counts[n] ?? 0) })),
    waiting,
  };
}

async function call(
  db: Writer,
  projection: AnyProjection,
  values: readonly unknown[],
): Promise<{ heads: readonly number[]; recordedAt: string; waiting: number }> {
  // A transaction is begun again by whoever began it.
  const retries = db instanceof Database ? RETRIES : 0;
  for (let attempt = 0; ; attempt++) {
    try {
      const [row] = await db.query<[readonly (number | string)[] | null, string | null, number | null]>(
        callApply(db, projection),
        values,
        applyFunction(projection),
      );
      return {
        heads: (row?.[0] ?? []).map(Number),
        recordedAt: row?.[1] ?? '',
        waiting: row?.[2] ?? 0,
      };
    } catch (error) {
      if (attempt >= retries || !isRetryable(error)) throw conflictOf(error) ?? error;
      await new Promise((resolve) => setTimeout(resolve, jittered(10 * 2 ** attempt)));
    }
  }
}

/** About what a change is beside its row. */
const CHANGE_BYTES = 300;

/** Hands what was written to the followers of this process. */
export function keepRecent(recent: Recent<ChangeEntry>, entries: readonly ChangeEntry[]): void {
  for (const entry of entries) {
    const bytes = CHANGE_BYTES + (entry.row?.length ?? 0);
    recent.offer(entry.log, entry.shard, { seq: entry.seq, epoch: entry.epoch, bytes, entry });
  }
}
