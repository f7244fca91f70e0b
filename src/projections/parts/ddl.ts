/** The table of a version's parts: one row for each stream that rows are made of. */
import { hasParts } from '../../domain/parts.js';
import type { AnyProjection } from '../../domain/projection.js';
import { quoteIdent, type Database } from '../../platform/postgres/database.js';
import { readModelTable } from '../names.js';

type Tables = Pick<Database, 'table'>;
type Versioned = Pick<AnyProjection, 'name' | 'version'>;

/** Unquoted: `_part_order_list__v1`. */
export const partTable = (projection: Versioned): string => `_part_${readModelTable(projection)}`;

/**
 * Makes the table where rows are made of parts, in the place of one that was left behind; nothing elsewhere. `version`: of the stream, up to which its events are in.
 * `row_key`, `since`: where the stream's row stands, and since when, where rows move. Locks: ACCESS EXCLUSIVE on what is dropped.
 */
export function createParts(db: Tables, projection: AnyProjection): string[] {
  if (!hasParts(projection)) return [];
  const table = db.table(partTable(projection));
  const index = quoteIdent(`_ix_part_${readModelTable(projection)}`);
  return [
    dropParts(db, projection),
    `CREATE TABLE ${table} (source text COLLATE "C" NOT NULL, key text COLLATE "C" NOT NULL, version bigint NOT NULL CHECK (version > 0),
     row_key text COLLATE "C", since text COLLATE "C" NOT NULL, part json NOT NULL,
     CONSTRAINT ${quoteIdent(`_pk_part_${readModelTable(projection)}`)} PRIMARY KEY (source, key)) WITH (fillfactor = 90)`,
    ...(projection.rowsMove
      ? [`CREATE INDEX ${index} ON ${table} (row_key, since, source, key) WHERE row_key IS NOT NULL`]
      : []),
  ];
}

/** All parts go. Locks: ACCESS EXCLUSIVE on the table; for versions that nobody writes. */
export const emptyParts = (db: Tables, projection: AnyProjection): string[] =>
  hasParts(projection) ? [`TRUNCATE ${db.table(partTable(projection))}`] : [];

/** The table goes, where there is one. Locks: ACCESS EXCLUSIVE on it. */
const dropParts = (db: Tables, projection: Versioned): string =>
  `DROP TABLE IF EXISTS ${db.table(partTable(projection))}`;
