/** Statements about which process serves which version, each with its purpose and its locks. */
import type { Database } from '../../platform/postgres/database.js';

type Tables = Pick<Database, 'table'>;

/** Waits for who makes or drops read models, and lets others wait who register. Locks: advisory, until commit. $1 schema. */
export const LOCK_READ_MODELS_SHARED = `SELECT pg_advisory_xact_lock_shared(hashtext('tidemark:read-models'), hashtext($1))`;

/** A process is alive while its membership has not run out and its connection is there; as `lease_beat_v1` says it. */
export const isAlive = (db: Tables, member: string): string =>
  `EXISTS (SELECT FROM ${db.table('members')} m WHERE m.member = ${member} AND m.expires_at > clock_timestamp()
     AND EXISTS (SELECT FROM pg_stat_get_activity(m.pid) a WHERE coalesce(a.backend_start = m.backend_start, true)))`;

/** This process serves these versions, now. Locks: its own rows. $1 member, $2 names, $3 versions, $4 roles. */
export const upsertServing = (db: Tables): string =>
  `INSERT INTO ${db.table('serving')} AS s (member, projection, version, roles)
   SELECT $1, w.name, w.version, $4::text[] FROM unnest($2::text[], $3::int[]) AS w(name, version)
   ON CONFLICT (member, projection, version) DO UPDATE SET seen_at = now(), roles = excluded.roles`;

/** Which of these versions were pruned. Locks: none (the advisory lock is held). $1 names, $2 versions. */
export const selectRetired = (db: Tables): string =>
  `SELECT p.name, p.version FROM ${db.table('projections')} p
   JOIN unnest($1::text[], $2::int[]) AS w(name, version) ON w.name = p.name AND w.version = p.version
   WHERE p.state = 'retired'`;

/**
 * Of these versions, those that other live processes serve and no other live process projects; with how many serve it.
 * Locks: none. $1 member, $2 names, $3 versions.
 */
export const selectAbandoned = (db: Tables): string =>
  `SELECT s.projection, s.version, count(*)::int FROM ${db.table('serving')} s
   JOIN unnest($2::text[], $3::int[]) AS w(name, version) ON w.name = s.projection AND w.version = s.version
   WHERE s.member <> $1 AND ${isAlive(db, 's.member')}
   GROUP BY s.projection, s.version HAVING NOT bool_or('projector' = ANY (s.roles)) ORDER BY 1, 2`;

/**
 * Rows of processes that are gone: after 30 days, and sooner where a later row says when the version was last in use.
 * Locks: those rows.
 */
export const deleteLongGone = (db: Tables): string =>
  `DELETE FROM ${db.table('serving')} s
   WHERE NOT ${isAlive(db, 's.member')} AND (s.seen_at < now() - interval '30 days' OR EXISTS (
     SELECT FROM ${db.table('serving')} t WHERE t.projection = s.projection AND t.version = s.version
       AND (t.seen_at, t.member) > (s.seen_at, s.member)))`;
