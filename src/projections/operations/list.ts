/** How the versions of all projections stand: what `tidemark projections list` and `GET /ops/projections` tell. */
import { TidemarkError } from '../../platform/errors.js';
import type { Database } from '../../platform/postgres/database.js';
import { isTimeout } from '../../platform/postgres/sqlstate.js';
import { tableNamesIn } from '../definition.js';
import { readModelTable } from '../names.js';
import { partTable } from '../parts/ddl.js';
import type { BuildProgress, ProjectionState, ShardStop } from '../types.js';
import { SELECT_SIZES, SELECT_VIEWS, selectReports, SHORT_LOCK_WAIT } from './statements.js';
import type { VersionReport } from './types.js';

type Columns = readonly [
  name: string,
  version: number,
  state: ProjectionState,
  reason: string | null,
  since: string,
  loaded: boolean,
  ready: boolean,
  acceptParked: boolean,
  progress: string | null,
  lag: number,
  parkedKeys: number,
  stops: string | null,
  processes: string,
  definition: string,
];

const NAME = /^[a-z][a-z0-9_]{0,39}$/;

type StopColumns = readonly [
  source: string,
  shard: number,
  kind: ShardStop['kind'],
  reason: string,
  seq: number,
  at: string,
];

interface Version extends Omit<VersionReport, 'bytes' | 'inView'> {
  /** Names of its tables, and of the views that people read them by. */
  readonly tables: readonly string[];
}

function versionOf(columns: Columns): Version {
  const [name, version, state, reason, since, loaded, ready, acceptParked, progress, ...rest] = columns;
  const [lag, parkedKeys, stops, counted, definition] = rest;
  // What our own statements put together as JSON.
  const standing = JSON.parse(stops ?? '[]') as readonly StopColumns[];
  const [processes, projectors] = JSON.parse(counted) as readonly [number, number];
  return {
    name,
    version,
    state,
    reason,
    since,
    loaded,
    ready,
    acceptParked,
    lag,
    parkedKeys,
    stops: standing.map(([source, shard, kind, why, seq, at]) => ({
      source,
      shard,
      kind,
      reason: why,
      seq,
      at,
    })),
    processes,
    projectors,
    progress: progress === null ? null : (JSON.parse(progress) as BuildProgress),
    tables: tableNamesIn(name, JSON.parse(definition)),
  };
}

/** Its tables, with that of its parts. */
const relationsOf = (db: Database, { tables, version, name }: Version): readonly string[] => [
  ...tables.map((table) => db.table(readModelTable({ name: table, version }))),
  db.table(partTable({ name, version })),
];

/** By name. A size that would have to be waited for is left out, as somebody changes tables just then. */
async function sizesOf(db: Database, relations: readonly string[]): Promise<ReadonlyMap<string, number>> {
  try {
    const rows = await db.transaction(async (tx) => {
      await tx.query(SHORT_LOCK_WAIT);
      return tx.query<[string, number]>(SELECT_SIZES, [relations]);
    });
    return new Map(rows);
  } catch (error) {
    if (isTimeout(error)) return new Map();
    throw error;
  }
}

/**
 * Only reads, and waits for nobody.
 * @param name of one projection; all of them without it
 * @returns by name and version; empty where there are none
 */
export async function listProjections(db: Database, name?: string): Promise<VersionReport[]> {
  const rows = await db.query<Columns>(selectReports(db), [name ?? null]);
  const versions = rows.map(versionOf);
  const shown = await db.query<[view: string, table: string]>(SELECT_VIEWS, [db.schema]);
  const sizes = await sizesOf(
    db,
    versions.flatMap((each) => relationsOf(db, each)),
  );
  return versions.map((each) => {
    const { tables, ...report } = each;
    const { version } = report;
    const known = relationsOf(db, each).flatMap((relation) => sizes.get(relation) ?? []);
    return {
      ...report,
      inView: shown.some(
        ([view, table]) => tables.includes(view) && table === readModelTable({ name: view, version }),
      ),
      bytes: known.length === 0 ? null : known.reduce((sum, bytes) => sum + bytes, 0),
    };
  });
}

/**
 * One projection's versions, the newest last.
 * @throws TidemarkError `unknown_projection`, with those that there are
 */
export async function showProjection(db: Database, name: string): Promise<VersionReport[]> {
  // No name of a projection has what Postgres refuses in a text.
  const versions = NAME.test(name) ? await listProjections(db, name) : [];
  if (versions.length > 0) return versions;
  const known = [...new Set((await listProjections(db)).map((one) => one.name))];
  const shown = JSON.stringify(name.slice(0, 100));
  throw unknown(`there is no projection ${shown} (there are: ${known.join(', ') || 'none'})`, known);
}

/**
 * @param version the newest that is not retired without it; the newest of all where all are
 * @throws TidemarkError `unknown_projection`, with those that there are
 */
export async function findVersion(db: Database, name: string, version?: number): Promise<VersionReport> {
  const versions = await showProjection(db, name);
  const found =
    version === undefined
      ? (versions.findLast(({ state }) => state !== 'retired') ?? versions.at(-1))
      : versions.find((one) => one.version === version);
  if (found) return found;
  const known = versions.map((one) => `v${one.version}`);
  throw unknown(`projection ${name} has no version ${version} (it has: ${known.join(', ')})`, known);
}

const unknown = (message: string, known: readonly string[]): TidemarkError =>
  new TidemarkError('unknown_projection', message, { extra: { known } });
