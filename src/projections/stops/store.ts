/**
 * Shards that stand still, kept where every process and the command line see them, together with the version's state:
 * `halted` or `needs_newer_code` while a shard at least stands. Both are changed under a lock on the version's row.
 */
import type { AnyReadModel } from '../../domain/tables.js';
import type { StoredEvent } from '../../domain/events.js';
import type { Database, Queryable } from '../../platform/postgres/database.js';
import { CLOSED, move, type ProjectionState } from '../states.js';
import type { ShardStop } from '../types.js';
import { deleteStop, lockVersion, selectEvent, selectStops, upsertStop } from './statements.js';

type Versioned = Pick<AnyReadModel, 'name' | 'version'>;
type Kind = ShardStop['kind'];

/** The moves that a stop of a kind means. */
const MOVE = { halted: 'halt', needs_newer_code: 'meet_newer' } as const;

type Scoped = Queryable & Pick<Database, 'table'>;

async function locked(
  db: Database,
  { name, version }: Versioned,
  work: (tx: Scoped, state: ProjectionState, loaded: boolean) => Promise<void>,
): Promise<void> {
  await db.transaction(async ({ query }) => {
    const tx: Scoped = { query, table: (table) => db.table(table) };
    const [row] = await tx.query<[ProjectionState, boolean]>(lockVersion(db), [name, version]);
    if (row) await work(tx, ...row);
  });
}

/**
 * Says that a shard stands still. Not of a version that was paused, emptied to be built anew or pruned meanwhile: its shards
 * are tried again from where they begin then. @throws as `Database.transaction`
 */
export async function recordStop(db: Database, version: Versioned, stop: ShardStop): Promise<void> {
  const { source, shard, kind, reason, seq } = stop;
  await locked(db, version, async (tx, state) => {
    if (CLOSED.includes(state)) return;
    await tx.query(upsertStop(db), [version.name, version.version, source, shard, kind, reason, seq]);
    await move(tx, version, MOVE[kind], reason);
  });
}

/** Says that a shard got past its stop; with the last one, the version follows its events again. @throws as `Database.transaction` */
export async function clearStop(
  db: Database,
  version: Versioned,
  source: string,
  shard: number,
): Promise<void> {
  await locked(db, version, async (tx, state, loaded) => {
    const { name, version: number } = version;
    const gone = await tx.query(deleteStop(db), [name, number, source, shard]);
    // Another state is not the stops': an operator's pause stays.
    if (gone.length === 0 || !(state in MOVE)) return;
    const [left] = await tx.query<[Kind, string]>(selectStops(db), [name, number]);
    if (left?.[0] === state) return;
    await move(tx, version, loaded ? 'follow' : 'build');
    if (left) await move(tx, version, MOVE[left[0]], left[1]);
  });
}

/** Whether an event is in Postgres: one that only a broker has is nothing to stand still at. @throws as `Database.query` */
export async function isStored(
  db: Database,
  { category, shard, seq, eventId }: StoredEvent,
): Promise<boolean> {
  const rows = await db.query<[]>(selectEvent(db), [category, shard, seq, eventId]);
  return rows.length > 0;
}
