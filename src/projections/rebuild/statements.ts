/** Every statement of loaders, each with its purpose and its locks. */
import type { AnyProjection } from '../../domain/projection.js';
import { quoteIdent, type Database } from '../../platform/postgres/database.js';
import { columnList } from '../columns.js';
import { readModelTable } from '../names.js';

type Tables = Pick<Database, 'table'>;

/** The role of the pool that loads; its backends are known by it. */
export const LOADER_ROLE = 'loader';

/**
 * Whether who asks is still the builder: a row with the version's state when it holds the lease. Locks: with `hold`, the lease
 * FOR SHARE until commit, so that nobody else is elected before what is written under it is in.
 * $1 scope, $2 holder, $3 term, $4 name, $5 version.
 */
export const selectFence = (db: Tables, hold: 'hold' | 'look'): string =>
  `SELECT p.state FROM ${db.table('leases')} l CROSS JOIN ${db.table('projections')} p
   WHERE l.scope = $1 AND l.item = 0 AND l.holder = $2 AND l.term = $3::bigint AND p.name = $4 AND p.version = $5::int
   ${hold === 'hold' ? 'FOR SHARE OF l' : ''}`;

/** How far a build is: a row a shard, none before it has begun. Locks: none. $1 name, $2 version. */
export const selectBuild = (db: Tables): string =>
  `SELECT source, shard, seq, upto FROM ${db.table('builds')} WHERE projection = $1 AND version = $2::int ORDER BY source, shard`;

/** A build begins. Locks: none that others wait for. $1 name, $2 version, $3 sources, $4 shards, $5 up to which seq each is loaded. */
export const insertBuild = (db: Tables): string =>
  `INSERT INTO ${db.table('builds')} (projection, version, source, shard, upto)
   SELECT $1, $2::int, w.source, w.shard, w.upto FROM unnest($3::text[], $4::int[], $5::bigint[]) AS w(source, shard, upto)`;

/**
 * Shards are loaded further: a row for each that was where its builder left it. In the transaction that loads the rows.
 * Locks: the rows of `builds`. $1 name, $2 version, $3 sources, $4 shards, $5 from, $6 to.
 */
export const advanceBuild = (db: Tables): string =>
  `UPDATE ${db.table('builds')} b SET seq = w.til FROM unnest($3::text[], $4::int[], $5::bigint[], $6::bigint[]) AS w(source, shard, since, til)
   WHERE b.projection = $1 AND b.version = $2::int AND b.source = w.source AND b.shard = w.shard AND b.seq = w.since RETURNING b.shard`;

/** A build is over: a row a shard, and whether it was loaded to its end. Locks: its rows. $1 name, $2 version. */
export const deleteBuild = (db: Tables): string =>
  `DELETE FROM ${db.table('builds')} WHERE projection = $1 AND version = $2::int RETURNING seq = upto`;

/** What stopped a build is tried once more. Locks: the rows that go. $1 name, $2 version. */
export const deleteStops = (db: Tables): string =>
  `DELETE FROM ${db.table('projection_stops')} WHERE projection = $1 AND version = $2::int`;

/** A shard cannot be loaded. Locks: its row. $1 name, $2 version, $3 source, $4 shard, $5 kind, $6 reason, $7 seq. */
export const insertStop = (db: Tables): string =>
  `INSERT INTO ${db.table('projection_stops')} (projection, version, source, shard, kind, reason, seq)
   VALUES ($1, $2::int, $3, $4::int, $5, $6, $7::bigint)
   ON CONFLICT (projection, version, source, shard) DO UPDATE SET kind = excluded.kind, reason = excluded.reason, seq = excluded.seq, at = now()`;

/**
 * Ends loaders of before that still hold the table: frozen in the middle of a COPY they would hold it for ever, and what they
 * have written would not count. Only to be asked by who holds the lease, or with the version closed. Locks: none.
 * $1 the table, quoted and with its schema, $2 application name of loaders.
 */
export const endLoaders = `SELECT pg_terminate_backend(a.pid, 5000) FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid
   WHERE l.locktype = 'relation' AND l.relation = to_regclass($1) AND l.database = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database())
     AND a.application_name = $2 AND a.usename = current_user AND l.mode <> 'AccessShareLock' AND a.pid <> pg_backend_pid()`;

/** Rows in, with their revision. Locks: ROW EXCLUSIVE on the table. */
export const copyRows = (db: Tables, projection: AnyProjection): string =>
  `COPY ${db.table(readModelTable(projection))} (${columnList(projection)}, _rev) FROM STDIN`;

/** Rows that are written anew, or are gone. Locks: them. $1 keys. */
export const deleteRows = (db: Tables, projection: AnyProjection): string =>
  `DELETE FROM ${db.table(readModelTable(projection))} t WHERE t.${quoteIdent(projection.key)} = ANY ($1::text[])`;

/** How far a build is, for everybody. Locks: the version's row. $1 name, $2 version, $3 progress or NULL. */
export const updateProgress = (db: Tables): string =>
  `UPDATE ${db.table('projections')} SET progress = $3::json WHERE name = $1 AND version = $2::int AND state = 'building'`;

/** When the build began, as its builder told first. Locks: none. $1 name, $2 version. */
export const selectProgress = (db: Tables): string =>
  `SELECT progress FROM ${db.table('projections')} WHERE name = $1 AND version = $2::int`;

/**
 * Everything up to where the build went is in. Locks: the version's checkpoints, in order.
 * $1 name, $2 version.
 */
export const moveCheckpoints = (db: Tables): string =>
  `WITH mine AS (SELECT c.source, c.shard FROM ${db.table('checkpoints')} c WHERE c.projection = $1 AND c.version = $2::int
     ORDER BY c.source, c.shard FOR UPDATE)
   UPDATE ${db.table('checkpoints')} c SET seq = b.upto FROM mine m JOIN ${db.table('builds')} b ON b.source = m.source AND b.shard = m.shard
   WHERE b.projection = $1 AND b.version = $2::int AND c.projection = $1 AND c.version = $2::int AND c.source = m.source AND c.shard = m.shard`;

/**
 * The rows that will be loaded are what the change log begins after: whoever asks for what was before is told that it was
 * trimmed. When a build is decided on, so that nobody who follows the log is told so at its end. Locks: the log's rows of
 * `shards`, in order. $1 log.
 */
export const beginLog = (db: Tables): string =>
  `WITH mine AS (SELECT s.log, s.shard FROM ${db.table('shards')} s WHERE s.log = $1 AND s.low < 1 ORDER BY s.shard FOR UPDATE)
   UPDATE ${db.table('shards')} s SET low = 1 FROM mine m WHERE s.log = m.log AND s.shard = m.shard`;

/** The table is in use from now on. Locks: the version's row. $1 name, $2 version. */
export const setLoaded = (db: Tables): string =>
  `UPDATE ${db.table('projections')} SET loaded = true, progress = NULL WHERE name = $1 AND version = $2::int`;

/** The table is not in use any more, until it was built. Locks: the version's row. $1 name, $2 version, $3 whether it follows instead. */
export const setUnloaded = (db: Tables): string =>
  `UPDATE ${db.table('projections')} p SET loaded = $3::boolean, progress = NULL, ready_at = NULL, accept_parked = false,
     epoch = (SELECT max(s.epoch) FROM ${db.table('shards')} s WHERE s.log = $4)
   WHERE p.name = $1 AND p.version = $2::int`;

/** The rows go. Locks: ACCESS EXCLUSIVE on the table until commit. */
export const truncateRows = (db: Tables, projection: AnyProjection): string =>
  `TRUNCATE ${db.table(readModelTable(projection))}`;

/** What the planner goes by. Locks: SHARE UPDATE EXCLUSIVE on the table. */
export const analyze = (db: Tables, projection: AnyProjection): string =>
  `ANALYZE ${db.table(readModelTable(projection))}`;

/** Memory to build indexes with, for this transaction. */
export const INDEX_MEMORY = `SET LOCAL maintenance_work_mem = '256MB'`;

/** Keys are parked and events wait behind them; see the function. $1 name, $2 version, $3 what. */
export const park = (db: Tables): string => `SELECT ${db.table('park_v1')}($1, $2::int, $3::json)`;
