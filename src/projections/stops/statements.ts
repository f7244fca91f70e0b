/** The statements on shards that stand still. */
import type { Database } from '../../platform/postgres/database.js';

type Tables = Pick<Database, 'table'>;

/** The version's row, which whoever changes its stops locks first: the state must be that of the stops. $1 name, $2 version. */
export const lockVersion = (db: Tables): string =>
  `SELECT state, loaded FROM ${db.table('projections')} WHERE name = $1 AND version = $2::int FOR NO KEY UPDATE`;

/** A shard stands still, or still does. Locks: its row. $1 name, $2 version, $3 source, $4 shard, $5 kind, $6 reason, $7 seq. */
export const upsertStop = (db: Tables): string =>
  `INSERT INTO ${db.table('projection_stops')} (projection, version, source, shard, kind, reason, seq)
   VALUES ($1, $2::int, $3, $4::int, $5, $6, $7::bigint)
   ON CONFLICT (projection, version, source, shard) DO UPDATE SET kind = excluded.kind, reason = excluded.reason, seq = excluded.seq, at = now()`;

/** A shard goes on. Locks: its row. $1 name, $2 version, $3 source, $4 shard. */
export const deleteStop = (db: Tables): string =>
  `DELETE FROM ${db.table('projection_stops')} WHERE projection = $1 AND version = $2::int AND source = $3 AND shard = $4::int RETURNING shard`;

/** What still stands, what a person must see to first. Locks: none (the version's row is held). $1 name, $2 version. */
export const selectStops = (db: Tables): string =>
  `SELECT kind, reason FROM ${db.table('projection_stops')} WHERE projection = $1 AND version = $2::int ORDER BY kind, at`;

/** Whether Postgres has an event. Locks: none. $1 category, $2 shard, $3 seq, $4 id. */
export const selectEvent = (db: Tables): string =>
  `SELECT FROM ${db.table('events')} e WHERE e.category = $1 AND e.shard = $2::int AND e.seq = $3::bigint AND e.event_id::text = $4`;
