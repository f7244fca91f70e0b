/** Indexes that were added to a definition whose table is in use: made without keeping its writers waiting. */
import type { AnyReadModel } from '../domain/tables.js';
import type { Database, Queryable } from '../platform/postgres/database.js';
import { jittered } from '../platform/pause.js';
import * as ddl from './ddl.js';
import { indexName, type Versioned } from './names.js';

/** Another process makes some now: not waited for in Postgres, as a statement that waits would hold that process up. */
const ASK_AGAIN_MS = 500;

interface WantedIndex {
  /** Name and version of the table. */
  readonly of: Versioned;
  readonly columns: readonly string[];
  readonly name: string;
  /** Something is there under its name that a start which broke off has left. */
  readonly broken: boolean;
}

function indexesIn(projection: AnyReadModel): readonly Omit<WantedIndex, 'broken'>[] {
  const { version } = projection;
  const tables =
    projection.kind === 'tables'
      ? projection.tables
      : [{ name: projection.name, indexes: ddl.indexesOf(projection) }];
  return tables.flatMap(({ name, indexes }) =>
    indexes.map((columns) => ({
      of: { name, version },
      columns,
      name: indexName({ name, version }, columns),
    })),
  );
}

async function missingOf(
  db: Queryable & Pick<Database, 'table' | 'schema'>,
  projections: readonly AnyReadModel[],
): Promise<WantedIndex[]> {
  const loaded = await db.query<[string]>(ddl.selectLoaded(db), [
    projections.map(({ name }) => name),
    projections.map(({ version }) => version),
  ]);
  const inUse = new Set(loaded.map(([name]) => name));
  const wanted = projections.filter(({ name }) => inUse.has(name)).flatMap(indexesIn);
  if (wanted.length === 0) return [];
  const rows = await db.query<[string, boolean]>(ddl.SELECT_INDEXES, [
    db.schema,
    wanted.map(({ name }) => name),
  ]);
  const known = new Map(rows);
  return wanted
    .filter(({ name }) => known.get(name) !== true)
    .map((one) => ({ ...one, broken: known.has(one.name) }));
}

/**
 * Makes what is missing, one index after the other; resolves when all are there, by whichever process. May take minutes
 * on a large table, which is read and written meanwhile.
 */
export async function ensureIndexes(db: Database, projections: readonly AnyReadModel[]): Promise<void> {
  if ((await missingOf(db, projections)).length === 0) return;
  // Its statements may take long, and none may be in a transaction.
  const session = await db.connect({ unbounded: true });
  const scoped = { query: session.query, table: (name: string) => db.table(name), schema: db.schema };
  try {
    for (;;) {
      const [row] = await session.query<[boolean]>(ddl.TRY_LOCK_INDEXES, [db.schema]);
      if (row?.[0] === true) break;
      await new Promise((resolve) => setTimeout(resolve, jittered(ASK_AGAIN_MS)));
    }
    for (const { of, columns, name, broken } of await missingOf(scoped, projections)) {
      if (broken) await session.query(ddl.dropInvalidIndex(db, name));
      await session.query(ddl.createIndex(db, of, columns, 'CONCURRENTLY'));
    }
  } finally {
    // Ends the connection, and the lock with it.
    session.release(true);
  }
}
