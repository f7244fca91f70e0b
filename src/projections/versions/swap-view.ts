/**
 * Moves the SQL view of a projection, which people and their tools read, to another version. A step of its own: nothing of
 * Tidemark reads it, and who does may have to be told before.
 */
import { isTidemarkError, TidemarkError } from '../../platform/errors.js';
import { quoteIdent, type Database, type Queryable } from '../../platform/postgres/database.js';
import { isTimeout } from '../../platform/postgres/sqlstate.js';
import { LOCK_READ_MODELS } from '../ddl.js';
import { tableNamesIn } from '../definition.js';
import { readModelTable } from '../names.js';
import { lockVersion, wrongState, type VersionName } from './pausing.js';
import * as sql from './view-statements.js';

export interface SwapOptions {
  /** How long it waits for those who read the view at the most, in ms; meanwhile nobody else can begin to. 2,000 unless told otherwise. */
  readonly lockTimeoutMs?: number;
}

export interface SwappedView {
  readonly view: string;
  /** The version that it showed before; null where there was no view, or one over something else. */
  readonly from: number | null;
  /**
   * `unchanged`: it showed the version already. `replaced`: whatever reads it goes on. `made_anew`: it was dropped and made
   * again, as a column went or changed its type. `created`: there was none.
   */
  readonly how: 'unchanged' | 'replaced' | 'made_anew' | 'created';
}

interface Column {
  readonly name: string;
  /** With its collation. */
  readonly type: string;
  readonly comment: string | null;
}

interface View {
  readonly oid: number;
  readonly owner: string;
  readonly options: readonly string[];
  readonly comment: string | null;
  readonly tables: readonly string[];
  readonly columns: readonly Column[];
}

interface Scope extends Queryable {
  readonly db: Database;
}

/**
 * Shows the rows of `version` in the view of its projection's name (in all of its views, where a handler writes several
 * tables), in one transaction. Keeps owner, rights, options and comments. Columns that were there keep their places, and new
 * ones come after them, so that what reads the view need not be touched where nothing went.
 * @throws TidemarkError `unknown_projection`, `wrong_state` (not ready yet, or pruned), `view_has_dependents` (a column goes or
 *   changes its type, and others depend on the view: they are named), `view_in_use` (somebody reads it for longer than
 *   `lockTimeoutMs`), `projection_name_taken` (the name is not a view's)
 */
export async function swapView(
  db: Database,
  version: VersionName,
  { lockTimeoutMs = 2_000 }: SwapOptions = {},
): Promise<SwappedView[]> {
  let at: string | undefined;
  try {
    return await db.transaction(async (tx) => {
      await tx.query(sql.SET_LOCK_TIMEOUT, [`${Math.trunc(lockTimeoutMs)}ms`]);
      await tx.query(LOCK_READ_MODELS, [db.schema]);
      const { state, ready, definition } = await lockVersion(tx, db, version);
      if (state === 'retired') throw wrongState(version, state, 'its rows are gone');
      if (!ready) throw wrongState(version, state, 'it was not ready yet, and has not all rows');
      const swapped: SwappedView[] = [];
      for (const name of tableNamesIn(version.name, JSON.parse(definition))) {
        at = name;
        swapped.push(await swapOne({ query: tx.query, db }, name, version));
      }
      return swapped;
    });
  } catch (error) {
    if (at === undefined || !isTimeout(error) || isTidemarkError(error)) throw error;
    throw await inUse(db, at, lockTimeoutMs, error);
  }
}

async function swapOne(scope: Scope, name: string, { version }: VersionName): Promise<SwappedView> {
  const { db } = scope;
  const table = readModelTable({ name, version });
  const view = await viewOf(scope, name);
  const columns = await columnsOf(scope, table);
  const select = (names: readonly string[]): string =>
    `VIEW ${db.table(name)} AS SELECT ${names.map(quoteIdent).join(', ')} FROM ${db.table(table)}`;
  const all = columns.map((column) => column.name);
  if (!view) {
    await scope.query(`CREATE ${select(all)}`);
    return { view: name, from: null, how: 'created' };
  }
  const from = versionShown(name, view);
  if (from === version) return { view: name, from, how: 'unchanged' };
  const kept = view.columns.map((column) => column.name);
  const order = [...kept, ...all.filter((column) => !kept.includes(column))];
  const fits = view.columns.every(({ name: old, type }) =>
    columns.some((column) => column.name === old && column.type === type),
  );
  await letOwnerRead(scope, view, table);
  if (fits) {
    await scope.query(`CREATE OR REPLACE ${select(order)}`);
    // Postgres takes them off, `security_invoker` and `security_barrier` among them.
    await keepOptions(scope, name, view);
    return { view: name, from, how: 'replaced' };
  }
  await refuseDependents(scope, name, view);
  const rights = await scope.query<[string, string | null, string, boolean]>(sql.SELECT_GRANTS, [view.oid]);
  await scope.query(`DROP VIEW ${db.table(name)}`);
  await scope.query(`CREATE ${select(order.filter((column) => all.includes(column)))}`);
  await restore(scope, name, view, all, rights);
  return { view: name, from, how: 'made_anew' };
}

async function viewOf(scope: Scope, name: string): Promise<View | undefined> {
  const [row] = await scope.query<[number, string, string, string[] | null, string | null, string[]]>(
    sql.SELECT_VIEW,
    [scope.db.schema, name],
  );
  if (!row) return undefined;
  const [oid, kind, owner, options, comment, tables] = row;
  if (kind !== 'v') {
    throw new TidemarkError('projection_name_taken', `"${name}" in schema "${scope.db.schema}" is no view`);
  }
  return { oid, owner, options: options ?? [], comment, tables, columns: await columnsOf(scope, name) };
}

async function columnsOf(scope: Scope, relation: string): Promise<Column[]> {
  const rows = await scope.query<[string, string, string | null]>(sql.SELECT_COLUMNS, [
    scope.db.table(relation),
  ]);
  return rows.map(([name, type, comment]) => ({ name, type, comment }));
}

function versionShown(name: string, { tables }: View): number | null {
  const [table, ...more] = tables;
  const version = table !== undefined && more.length === 0 ? /__v([1-9]\d*)$/.exec(table)?.[1] : undefined;
  return version !== undefined && table === readModelTable({ name, version: Number(version) })
    ? Number(version)
    : null;
}

/** A view reads with the rights of its owner, who may be another than the one who made the table. */
async function letOwnerRead(scope: Scope, { owner }: View, table: string): Promise<void> {
  const [me] = await scope.query<[string]>(sql.SELECT_ME);
  if (me?.[0] !== owner) {
    await scope.query(`GRANT SELECT ON ${scope.db.table(table)} TO ${quoteIdent(owner)}`);
  }
}

async function refuseDependents(scope: Scope, name: string, { oid }: View): Promise<void> {
  const rows = await scope.query<[string]>(sql.SELECT_DEPENDENTS, [oid]);
  const dependents = rows.map(([one]) => one);
  if (dependents.length === 0) return;
  throw new TidemarkError(
    'view_has_dependents',
    `the view ${name} must be made anew, as a column goes or changes its type, and there depend on it: ${dependents.join(', ')}`,
    { extra: { view: name, dependents } },
  );
}

const text = (value: string | null): string => (value === null ? 'NULL' : `E'${escaped(value)}'`);
const escaped = (value: string): string => value.replaceAll('\\', '\\\\').replaceAll("'", "\\'");

async function keepOptions(scope: Scope, name: string, { options }: View): Promise<void> {
  if (options.length > 0) await scope.query(`ALTER VIEW ${scope.db.table(name)} SET (${options.join(', ')})`);
}

/** What the view had that a new one has not. Of columns only what is still there. */
async function restore(
  scope: Scope,
  name: string,
  view: View,
  columns: readonly string[],
  rights: readonly (readonly [right: string, column: string | null, role: string, passOn: boolean])[],
): Promise<void> {
  const table = scope.db.table(name);
  await keepOptions(scope, name, view);
  if (view.comment !== null) await scope.query(`COMMENT ON VIEW ${table} IS ${text(view.comment)}`);
  for (const { name: column, comment } of view.columns) {
    if (comment === null || !columns.includes(column)) continue;
    await scope.query(`COMMENT ON COLUMN ${table}.${quoteIdent(column)} IS ${text(comment)}`);
  }
  for (const [right, column, role, passOn] of rights) {
    if (column !== null && !columns.includes(column)) continue;
    const what = column === null ? right : `${right} (${quoteIdent(column)})`;
    await scope.query(`GRANT ${what} ON ${table} TO ${role}${passOn ? ' WITH GRANT OPTION' : ''}`);
  }
  const [me] = await scope.query<[string]>(sql.SELECT_ME);
  if (me?.[0] !== view.owner) await scope.query(`ALTER VIEW ${table} OWNER TO ${quoteIdent(view.owner)}`);
}

/** Who was in the way, as far as it can be seen afterwards. */
async function inUse(db: Database, name: string, waitedMs: number, cause: unknown): Promise<TidemarkError> {
  const users = await db.query<[number, string, string]>(sql.SELECT_USERS_OF, [db.table(name)]);
  const named = users.map(([pid, role, application]) => `${role} (${application || 'unnamed'}, pid ${pid})`);
  const who = named.length > 0 ? `: ${named.join(', ')}` : '';
  return new TidemarkError(
    'view_in_use',
    `the view ${name} was not free within ${waitedMs} ms, and nothing was changed${who}`,
    { retryAfter: 5, cause, extra: { view: name, users: named } },
  );
}
