/** Statements of projections that a handler writes, each with its purpose and its locks. */
import type { Database } from '../../platform/postgres/database.js';

type Tables = Pick<Database, 'table'>;

/** Begins a handler's transaction. `timeoutMs` is for each of its statements. One round trip for both. */
export const beginHandler = (timeoutMs: number): string =>
  `BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL statement_timeout = ${Math.trunc(timeoutMs)}`;

/**
 * Moves the checkpoints under the writer's lease; what it raises and locks stands with the function. A named statement:
 * its plan is a call and no more. $1 projection, $2 version, $3 sources, $4 shards, $5 from, $6 to, $7 scope, $8 holder, $9 term.
 */
export const callBegin = (db: Tables): string =>
  `SELECT ${db.table('tables_begin_v1')}($1, $2::int, $3::text[], $4::int[], $5::bigint[], $6::bigint[], $7, $8, $9::bigint)`;
