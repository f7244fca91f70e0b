/**
 * The function that writes a batch: one call, one transaction, no network round trip under a lock. Rows are read and folded
 * before it; under the locks it proves that nobody came in between, and writes all or nothing.
 *
 * Locks, in the one order of all (platform/postgres/logs.ts): lease FOR SHARE, checkpoints, parked keys, parts, rows of the read
 * model in key order, change shards in shard order. It cannot be stale and go unseen: the checkpoints are compared and set,
 * the lease is compared, the epoch too, no key that is written may be parked and every key taken for parked must be, the
 * revision of every row that is there must be the one that was folded from, and a row that was not there is inserted
 * plainly, so that a twin is a unique violation. The last event of each batch must be in Postgres, by its id: what a broker
 * still has of a database that lost its tail is a ghost, and so is all before it that is not there. The state of the version is read under the checkpoints' locks: whoever
 * stops it commits the state and then locks all checkpoints once, which waits for what is under way.
 *
 * A replay of parked keys is the same call without checkpoints: `p_release` says which events leave the queue. Nothing but
 * the version's own row, which it locks FOR SHARE, keeps a rebuild or a pause from beginning beside it.
 */
import type { AnyProjection } from '../domain/projection.js';
import { quoteIdent, type Database } from '../platform/postgres/database.js';
import { columnList, readModelColumns } from './columns.js';
import { applyFunction, changeLogOf, changeTable, formerApplyFunction, readModelTable } from './names.js';
import { checkParked, writeParts } from './parts/apply-parts.js';
import { CLOSED } from './states.js';

/** SQLSTATEs that the function raises; the transaction is rolled back. */
export const APPLY_ERRORS = {
  /** A checkpoint is not where this worker left it. */
  checkpoint: 'TM101',
  /** The lease has another holder or term. */
  fenced: 'TM102',
  /** A row is not the one that was folded from. */
  row: 'TM103',
  /** The change log is of another epoch. */
  epoch: 'TM104',
  /** The version is paused, being built or retired. */
  state: 'TM105',
  /** A key is parked that was not, is not that was, or there are too many; also raised by `park_v1` and `unpark_v1`. */
  parked: 'TM106',
  /** Postgres does not have the last event of a batch: it was lost in a fail-over or a restore, and came by another way. */
  ghost: 'TM107',
} as const;

/** In these states nobody writes rows of events. */
const CLOSED_STATES = CLOSED.map((state) => `'${state}'`).join(', ');

/** Locks the rows and the change shards, and writes both; `heads` and `written` are told by it. */
function writeRows(db: Database, projection: AnyProjection): string {
  const log = changeLogOf(projection);
  const rows = db.table(readModelTable(projection));
  const changes = db.table(changeTable(log) ?? '');
  const shards = db.table('shards');
  const key = quoteIdent(projection.key);
  const columns = readModelColumns(projection);
  const shape = columns.map(({ field, name, type }) => `${name} ${field.kind === 'text' ? 'text' : type}`);
  const changing = columns.filter(({ field }) => field.name !== projection.key).map(({ name }) => name);
  const insert = `INSERT INTO ${rows} AS t (${columnList(projection)}, _rev)
    SELECT ${columnList(projection, 'r.')}, heads[u.at] + u.off
    FROM unnest(p_revs, p_at, p_off, p_rows) AS u(rev, at, off, "row") CROSS JOIN LATERAL json_to_record(u."row") AS r(${shape.join(', ')})
    WHERE u."row" IS NOT NULL`;
  return `
  IF p_known > 0 THEN
    SELECT count(*) INTO n FROM unnest(p_keys, p_revs) AS x(key, rev)
    CROSS JOIN LATERAL (SELECT t._rev AS rev FROM ${rows} t WHERE t.${key} = x.key FOR NO KEY UPDATE) l
    WHERE x.rev > 0 AND l.rev = x.rev;
    IF n <> p_known THEN RAISE EXCEPTION 'a row was changed by another' USING ERRCODE = '${APPLY_ERRORS.row}'; END IF;
  END IF;
  PERFORM FROM ${shards} s WHERE s.log = '${log}' AND s.shard = ANY (p_into) ORDER BY s.shard FOR NO KEY UPDATE;

  written := clock_timestamp();
  SELECT array_agg(b.slot ORDER BY b.shard), array_agg(b.head ORDER BY b.shard) INTO slots, heads FROM (
    SELECT s.shard, s.slot, greatest(s.low, coalesce((SELECT max(c.seq) FROM ${changes} c WHERE c.log = '${log}' AND c.shard = s.shard), 0)) AS head
    FROM ${shards} s WHERE s.log = '${log}' AND s.shard = ANY (p_into)
  ) b;
  INSERT INTO ${changes} (log, shard, seq, slot, key, before_channels, "row", recorded_at)
  SELECT '${log}', p_into[u.at], heads[u.at] + u.off, slots[u.at], u.key, u.before, u."row", written
  FROM unnest(p_keys, p_at, p_off, p_before, p_rows) AS u(key, at, off, before, "row");

  IF p_known < cardinality(p_keys) THEN
    ${insert} AND u.rev = 0;
  END IF;
  IF p_known > cardinality(p_gone) THEN
    ${insert} AND u.rev > 0
    ON CONFLICT (${key}) DO UPDATE SET ${[...changing, '_rev'].map((name) => `${name} = excluded.${name}`).join(', ')} WHERE t._rev < excluded._rev;
  END IF;
  IF cardinality(p_gone) > 0 THEN
    DELETE FROM ${rows} t WHERE t.${key} = ANY (p_gone);
  END IF;
`;
}

/**
 * What a broker has of a log differs from Postgres only from some seq on, so that the last event of a batch speaks for all
 * before it. One index look-up per batch.
 */
const checkGhosts = (db: Database): string => `
  IF EXISTS (
    SELECT FROM unnest(p_sources, p_shards, p_seen, p_ids) AS x(source, shard, seq, id)
    WHERE x.id IS NOT NULL AND NOT EXISTS (
      SELECT FROM ${db.table('events')} e WHERE e.category = x.source AND e.shard = x.shard AND e.seq = x.seq AND e.event_id::text = x.id)
  ) THEN RAISE EXCEPTION 'an event is not in Postgres' USING ERRCODE = '${APPLY_ERRORS.ghost}'; END IF;`;

/** What the function does; also what the stored one is compared with. */
export function applyBody(db: Database, projection: AnyProjection): string {
  const log = changeLogOf(projection);
  const self = `'${projection.name}', ${projection.version}`;
  const shards = db.table('shards');
  const stateOf = `SELECT CASE WHEN p.loaded THEN p.state ELSE 'building' END INTO standing FROM ${db.table('projections')} p WHERE p.name = '${projection.name}' AND p.version = ${projection.version}`;
  const parkedRow = `SELECT FROM ${db.table('parked')} k WHERE k.projection = '${projection.name}' AND k.version = ${projection.version}`;
  return `
DECLARE
  n bigint;
  slots int[];
  standing text;
BEGIN
  IF p_scope IS NOT NULL THEN
    PERFORM FROM ${db.table('leases')} l WHERE l.scope = p_scope AND l.item = 0 AND l.holder = p_holder AND l.term = p_term FOR SHARE;
    IF NOT FOUND THEN RAISE EXCEPTION 'the lease has another holder' USING ERRCODE = '${APPLY_ERRORS.fenced}'; END IF;
  END IF;

  UPDATE ${db.table('checkpoints')} c SET seq = x.til
  FROM unnest(p_sources, p_shards, p_from, p_til) AS x(source, shard, since, til)
  WHERE c.projection = '${projection.name}' AND c.version = ${projection.version} AND c.source = x.source AND c.shard = x.shard AND c.seq = x.since;
  GET DIAGNOSTICS n = ROW_COUNT;
  IF n <> cardinality(p_shards) THEN RAISE EXCEPTION 'a checkpoint was moved by another' USING ERRCODE = '${APPLY_ERRORS.checkpoint}'; END IF;
${checkGhosts(db)}
  IF p_release IS NULL THEN ${stateOf};
  ELSE ${stateOf} FOR SHARE;
  END IF;
  IF standing IS NULL OR standing IN (${CLOSED_STATES}) THEN RAISE EXCEPTION 'the version is %', coalesce(standing, 'gone') USING ERRCODE = '${APPLY_ERRORS.state}'; END IF;
  IF EXISTS (SELECT FROM ${shards} s WHERE s.log = '${log}' AND s.epoch <> p_epoch) THEN
    RAISE EXCEPTION 'the change log is of another epoch' USING ERRCODE = '${APPLY_ERRORS.epoch}';
  END IF;
${checkParked(db, projection, APPLY_ERRORS)}
  IF p_release IS NOT NULL THEN waiting := ${db.table('unpark_v1')}(${self}, p_release);
  ELSIF cardinality(p_keys) > 0 AND EXISTS (${parkedRow}) AND EXISTS (${parkedRow} AND k.part = '' AND k.key = ANY (p_keys)) THEN
    RAISE EXCEPTION 'a key is parked' USING ERRCODE = '${APPLY_ERRORS.parked}';
  END IF;
  IF p_parking IS NOT NULL THEN PERFORM ${db.table('park_v1')}(${self}, p_parking); END IF;
${writeParts(db, projection, APPLY_ERRORS)}  IF cardinality(p_keys) = 0 THEN RETURN; END IF;

${writeRows(db, projection)}END
`;
}

/**
 * The definition of the function. Its arguments: epoch of the change log; checkpoints (source, shard, from, to) and of
 * each the last event that was folded (seq, id; NULL: of none), which Postgres must have; the lease to compare (NULLs where none is needed); `p_into`, the change shards touched, ascending; then one entry per changed key,
 * in key order: key, revision folded from (0: no row), place in `p_into` (from 1), place among the batch's changes of
 * that shard (from 1), channel values before, row after (NULL: none). `p_known` is how many have a revision, `p_gone` the
 * keys whose row goes. `p_parking` is what `park_v1` takes, `p_release` what `unpark_v1` takes, NULL where there is nothing
 * of that, `p_parts` the parts of streams that rows are made of (parts/apply-parts.ts), else NULL. Returns the head of each
 * shard of `p_into` before the batch, when the changes were recorded, and after a release how many events still wait behind
 * its keys.
 *
 * The planner settings keep every statement on the indexes: plans are cached, and one made while the table was empty
 * would scan it for ever. For the same reason nothing is joined to the table but by a lateral look-up.
 */
export function createApply(db: Database, projection: AnyProjection): string {
  return `CREATE OR REPLACE FUNCTION ${db.table(applyFunction(projection))}(
    p_epoch text, p_sources text[], p_shards int[], p_from bigint[], p_til bigint[], p_seen bigint[], p_ids text[], p_scope text, p_holder text, p_term bigint, p_into int[],
    p_keys text[], p_revs bigint[], p_at int[], p_off int[], p_before json[], p_rows json[], p_known int, p_gone text[],
    p_parking json, p_release json, p_parts json, OUT heads bigint[], OUT written timestamptz, OUT waiting bigint)
LANGUAGE plpgsql SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET plan_cache_mode = force_generic_plan
AS $tidemark$${applyBody(db, projection)}$tidemark$`;
}

/** What stands in the place of the function that older processes call: it tells them that another is ahead, so that they stand by. */
export const formerBody = `
BEGIN
  RAISE EXCEPTION 'a newer Tidemark writes this projection' USING ERRCODE = '${APPLY_ERRORS.checkpoint}';
END
`;

/** Replaces the function of Tidemark 0.1, with the arguments that it had. */
export const createFormerApply = (db: Database, projection: AnyProjection): string =>
  `CREATE OR REPLACE FUNCTION ${db.table(formerApplyFunction(projection))}(
    p_epoch text, p_sources text[], p_shards int[], p_from bigint[], p_til bigint[], p_scope text, p_holder text, p_term bigint, p_into int[],
    p_keys text[], p_revs bigint[], p_at int[], p_off int[], p_before json[], p_rows json[], p_known int, p_gone text[], OUT heads bigint[], OUT written timestamptz)
LANGUAGE plpgsql AS $tidemark$${formerBody}$tidemark$`;
