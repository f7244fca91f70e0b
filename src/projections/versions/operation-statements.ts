/** Statements that operators' acts on versions are made of, each with its purpose and its locks. */
import type { Database } from '../../platform/postgres/database.js';

type Tables = Pick<Database, 'table'>;

/** State of a version, held until commit so that two operators do not cross. Locks: its row. $1 name, $2 version. */
export const lockVersion = (db: Tables): string =>
  `SELECT p.state, p.loaded, p.ready_at IS NOT NULL, p.definition FROM ${db.table('projections')} p
   WHERE p.name = $1 AND p.version = $2::int FOR UPDATE`;

/**
 * Waits for all batches in flight: each holds its checkpoints until it has committed. To be sent when the state that forbids
 * the next one is written. Locks: the version's checkpoints, in their order. $1 name, $2 version.
 */
export const lockCheckpoints = (db: Tables): string =>
  `SELECT count(*) FROM (SELECT FROM ${db.table('checkpoints')} c WHERE c.projection = $1 AND c.version = $2::int
   ORDER BY c.source, c.shard FOR UPDATE) held`;

/** Shards that stand still are tried again. Locks: those rows. $1 name, $2 version. */
export const deleteStops = (db: Tables): string =>
  `DELETE FROM ${db.table('projection_stops')} WHERE projection = $1 AND version = $2::int`;
