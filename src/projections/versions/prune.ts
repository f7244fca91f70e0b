/**
 * Drops the tables of versions that nobody serves any more and that the SQL view does not show, after a grace time in which
 * one can go back. What is left of such a version is its row, as `retired`; if code with it is started again, it is made anew.
 */
import { messageOf } from '../../platform/errors.js';
import type { Database, Queryable, Session } from '../../platform/postgres/database.js';
import { isRetryable, isTimeout, sqlState } from '../../platform/postgres/sqlstate.js';
import { tableNamesIn } from '../definition.js';
import { changeLogOf, changeTable, readModelTable } from '../names.js';
import { partTable } from '../parts/ddl.js';
import { move, type ProjectionState } from '../states.js';
import { lockCheckpoints } from './operation-statements.js';
import type { VersionName } from './pausing.js';
import * as sql from './prune-statements.js';
import { SET_LOCK_TIMEOUT } from './view-statements.js';

export interface PruneOptions {
  /** Versions that are kept whoever uses them: those of the application that asks. */
  readonly keep: readonly VersionName[];
  /** Why those are kept, as a person reads it; `the application has it` unless told otherwise. */
  readonly keptAs?: string;
  /** Since when nobody may have served a version, in ms before now; 24 hours unless told otherwise. */
  readonly graceMs?: number;
  /** Only tells what would be done. */
  readonly dryRun?: boolean;
  /** How long it waits for a lock on a table at the most, in ms; 2,000 unless told otherwise. */
  readonly lockTimeoutMs?: number;
}

export interface PruneReport {
  /** Dropped, or what would be. */
  readonly dropped: readonly VersionName[];
  readonly kept: readonly (VersionName & { readonly why: string })[];
}

interface Candidate extends VersionName {
  readonly state: ProjectionState;
  readonly tables: readonly string[];
  readonly madeAt: number;
  readonly processes: number;
  /** Ms since the epoch. */
  readonly seenAt: number | undefined;
}

const DAY_MS = 24 * 60 * 60 * 1_000;
/** A statement may take long where tables are large. */
const NO_LIMIT = 'SET LOCAL statement_timeout = 0';

/**
 * Each version goes in a transaction of its own; one whose tables are in use is told among `kept`, and goes the next time.
 * @throws as `Database.connect` and `Database.query`
 */
export async function pruneProjections(db: Database, options: PruneOptions): Promise<PruneReport> {
  const session = await db.connect();
  let broken = true;
  try {
    // No process makes tables, or says that it serves a version, until we are done.
    await session.query(sql.LOCK_SESSION, [db.schema]);
    const report = await pruneAll(session, db, options);
    await session.query(sql.UNLOCK_SESSION, [db.schema]);
    broken = false;
    return report;
  } finally {
    // The lock is the session's.
    session.release(broken);
  }
}

async function pruneAll(session: Session, db: Database, options: PruneOptions): Promise<PruneReport> {
  const { dryRun = false, lockTimeoutMs = 2_000 } = options;
  const dropped: VersionName[] = [];
  const kept: (VersionName & { why: string })[] = [];
  const shown = await session.query<[string, string]>(sql.SELECT_SHOWN, [db.schema]);
  const known = await candidates(session, db);
  // Logs that an earlier call could not take out come first: while one is half out, Postgres takes out no other.
  for (const candidate of dryRun ? [] : known) {
    if (candidate.state === 'retired') await finishDrop(session, db, candidate);
  }
  for (const candidate of known.filter(({ state }) => state !== 'retired')) {
    const { name, version } = candidate;
    let why = reasonToKeep(candidate, options, shown);
    if (why === undefined && !dryRun) why = await drop(session, db, candidate, lockTimeoutMs);
    if (why === undefined) dropped.push({ name, version });
    else kept.push({ name, version, why });
  }
  return { dropped, kept };
}

async function candidates(session: Queryable, db: Database): Promise<Candidate[]> {
  const rows = await session.query<[string, number, ProjectionState, string, string, number, string | null]>(
    sql.selectUse(db),
  );
  return rows.map(([name, version, state, definition, madeAt, processes, seenAt]) => ({
    name,
    version,
    state,
    tables: tableNamesIn(name, JSON.parse(definition)).map((table) =>
      readModelTable({ name: table, version }),
    ),
    madeAt: Date.parse(madeAt),
    processes,
    seenAt: seenAt === null ? undefined : Date.parse(seenAt),
  }));
}

function reasonToKeep(
  { name, version, tables, madeAt, processes, seenAt }: Candidate,
  { keep, keptAs = 'the application has it', graceMs = DAY_MS }: PruneOptions,
  shown: readonly (readonly [view: string, table: string])[],
): string | undefined {
  if (keep.some((one) => one.name === name && one.version === version)) return keptAs;
  if (processes > 0) return `${processes} ${processes === 1 ? 'process serves' : 'processes serve'} it`;
  const views = shown.filter(([, table]) => tables.includes(table)).map(([view]) => view);
  if (views.length > 0) return `the view ${views.join(', ')} shows it`;
  const usedAt = seenAt ?? madeAt;
  if (usedAt + graceMs <= Date.now()) return undefined;
  const what = seenAt === undefined ? 'made' : 'served';
  return `it was ${what} at ${new Date(usedAt).toISOString()}, and the grace time ends at ${new Date(usedAt + graceMs).toISOString()}`;
}

/** @returns why it was not possible now */
async function drop(
  session: Session,
  db: Database,
  candidate: Candidate,
  lockTimeoutMs: number,
): Promise<string | undefined> {
  try {
    await session.query('BEGIN');
    await session.query(NO_LIMIT);
    await session.query(SET_LOCK_TIMEOUT, [`${Math.trunc(lockTimeoutMs)}ms`]);
    await dropTables(session, db, candidate);
    await session.query('COMMIT');
  } catch (error) {
    await session.query('ROLLBACK');
    if (isTimeout(error) || isRetryable(error))
      return `somebody uses its tables (waited ${lockTimeoutMs} ms); try again`;
    // 2BP01: others have made something that depends on them.
    if (sqlState(error) === '2BP01') return messageOf(error);
    throw error;
  }
  await finishDrop(session, db, candidate);
  return undefined;
}

async function finishDrop(session: Session, db: Database, candidate: Candidate): Promise<void> {
  try {
    await dropLog(session, db, candidate);
  } catch (error) {
    // The version is gone; the next call goes on here. 55000: another log is still half out.
    if (!isTimeout(error) && sqlState(error) !== '55000') throw error;
  }
}

/** All but the change log's table. Locks: the version, its checkpoints (so no batch is in flight), then its tables exclusively. */
async function dropTables(session: Session, db: Database, candidate: Candidate): Promise<void> {
  const { name, version, tables } = candidate;
  const log = changeLogOf(candidate);
  const scoped = { query: session.query, table: (table: string) => db.table(table) };
  await move(scoped, candidate, 'retire');
  await session.query(lockCheckpoints(db), [name, version]);
  const functions = await session.query<[string]>(sql.SELECT_FUNCTIONS, [
    db.schema,
    `^_[a-z]+[0-9]*_(${tables.join('|')})$`,
  ]);
  for (const [signature] of functions) await session.query(`DROP FUNCTION ${signature}`);
  for (const table of [...tables, partTable(candidate)]) {
    await session.query(`DROP TABLE IF EXISTS ${db.table(table)}`);
  }
  for (const statement of sql.deleteVersionRows(db)) await session.query(statement, [name, version]);
  for (const statement of sql.deleteLogRows(db)) await session.query(statement, [log]);
  await session.query(sql.deleteLeases(db), [log]);
  await session.query(sql.emptyVersion(db), [name, version]);
}

/**
 * Takes the change log's table out of the others, and drops it. In no transaction: it waits for whoever reads any change log,
 * and lets everybody go on meanwhile. A call that was cut off is finished by the next one.
 */
async function dropLog(session: Session, db: Database, version: VersionName): Promise<void> {
  const table = db.table(changeTable(changeLogOf(version)) ?? '');
  const [attached] = await session.query<[boolean]>(sql.SELECT_ATTACHED, [table]);
  if (attached) {
    const how = attached[0] ? 'FINALIZE' : 'CONCURRENTLY';
    await session.query(`ALTER TABLE ${db.table('changes')} DETACH PARTITION ${table} ${how}`);
  }
  await session.query(`DROP TABLE IF EXISTS ${table}`);
}
