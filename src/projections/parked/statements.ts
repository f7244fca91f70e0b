/** Every statement on parked keys but those that stand in functions (`park_v1`, `unpark_v1` of the migrations). */
import type { Database } from '../../platform/postgres/database.js';

type Tables = Pick<Database, 'table'>;

/**
 * The parked keys of a version, and how many events wait behind each. Locks: none; who goes by it proves it under the locks
 * (apply.ts). $1 projection, $2 version.
 */
export const selectParkedKeys = (db: Tables): string =>
  `SELECT part, key, queued FROM ${db.table('parked')} WHERE projection = $1 AND version = $2::int`;
