/** The statements of copy-out.ts. COPY takes no parameters: ranges stand in the text, categories quoted. */
import { quoteLiteral } from '../platform/postgres/copy.js';
import type { Database } from '../platform/postgres/database.js';

/** Consecutive entries of one shard. */
export interface ShardRange {
  readonly category: string;
  readonly shard: number;
  /** The entry after this seq is the first. */
  readonly after: number;
  /** The last one. */
  readonly upto: number;
}

type Tables = Pick<Database, 'table'>;

const COLUMNS =
  'e.category, e.shard, e.event_id, e.seq, e.stream_id, e.version, e.type, e.schema_version, e.data, e.tags, e.metadata, e.recorded_at';

const whole = (value: number): string => {
  if (!Number.isSafeInteger(value)) throw new RangeError(`not a whole number: ${value}`);
  return String(value);
};

/** Events of one shard, stream by stream, each in its order. Locks: none. Sorted by Postgres, on disk where it is much. */
export const copyStreams = (db: Tables, { category, shard, after, upto }: ShardRange): string =>
  `COPY (SELECT ${COLUMNS} FROM ${db.table('events')} e
     WHERE e.category = ${quoteLiteral(category)} AND e.shard = ${whole(shard)} AND e.seq > ${whole(after)} AND e.seq <= ${whole(upto)}
     ORDER BY e.stream_id, e.version) TO STDOUT`;

/** Events of several ranges in the one order that all have, whoever reads them and whenever. Locks: none. */
export const copyInTime = (db: Tables, ranges: readonly ShardRange[]): string => {
  const values = ranges.map(
    ({ category, shard, after, upto }) =>
      `(${quoteLiteral(category)}::text, ${whole(shard)}, ${whole(after)}::bigint, ${whole(upto)}::bigint)`,
  );
  return `COPY (SELECT ${COLUMNS} FROM (VALUES ${values.join(', ')}) AS w(category, shard, after, upto) CROSS JOIN LATERAL (
       SELECT * FROM ${db.table('events')} x WHERE x.category = w.category AND x.shard = w.shard AND x.seq > w.after AND x.seq <= w.upto OFFSET 0) e
     ORDER BY e.recorded_at, e.category, e.shard, e.seq) TO STDOUT`;
};

/**
 * Times of some entries, in microseconds as a text of digits; a row each, in the order of the parameters, NULL where there is
 * no such entry. Locks: none. $1 categories, $2 shards, $3 seqs.
 */
export const selectTimes = (db: Tables): string =>
  `SELECT (extract(epoch FROM e.recorded_at) * 1000000)::bigint
   FROM unnest($1::text[], $2::int[], $3::bigint[]) WITH ORDINALITY AS u(category, shard, seq, n)
   LEFT JOIN LATERAL (SELECT x.recorded_at FROM ${db.table('events')} x
     WHERE x.category = u.category AND x.shard = u.shard AND x.seq = u.seq) e ON true ORDER BY u.n`;
