/** The statements of mend.ts. */
import type { Database } from '../../platform/postgres/database.js';

type Tables = Pick<Database, 'table'>;

/** An event log goes on in another epoch. Locks: its rows of `shards`, in order; waits for appends under way. $1 log, $2 epoch. */
export const renewEventLog = (db: Tables): string =>
  `WITH mine AS (SELECT s.log, s.shard FROM ${db.table('shards')} s WHERE s.log = $1 ORDER BY s.shard FOR NO KEY UPDATE)
   UPDATE ${db.table('shards')} s SET epoch = $2 FROM mine m WHERE s.log = m.log AND s.shard = m.shard`;

/** Epochs that records of a log may have without being of a stranger. Locks: new rows only. $1 log, $2 epochs. */
export const knowEpochs = (db: Tables): string =>
  `INSERT INTO ${db.table('relay_epochs')} (log, epoch) SELECT $1, e FROM unnest($2::text[]) e ON CONFLICT DO NOTHING`;

/**
 * Cursors of a log at the forks, in a new epoch; who relays it now finds that they are his no more, and opens his shards anew.
 * Locks: the log's cursors, in order. $1 log, $2 epoch, $3 shards, $4 forks.
 */
export const renewCursors = (db: Tables): string =>
  `INSERT INTO ${db.table('relay_cursors')} AS c (log, shard, epoch, seq, begun)
   SELECT $1, w.shard, $2, w.fork, w.fork FROM unnest($3::int[], $4::bigint[]) AS w(shard, fork) ORDER BY w.shard
   ON CONFLICT (log, shard) DO UPDATE
   SET epoch = excluded.epoch, seq = excluded.seq, begun = excluded.begun, holder = NULL, term = NULL, diverged = NULL`;
