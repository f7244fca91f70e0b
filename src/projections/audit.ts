/** Whether change logs are whole and checkpoints where they can be; asked by `tidemark doctor`. */
import type { Database } from '../platform/postgres/database.js';

export interface ChangeShardAudit {
  readonly log: string;
  readonly shard: number;
  readonly low: number;
  readonly head: number;
  /** Seqs between low and head that are not there; 0 unless something is badly wrong. */
  readonly missing: number;
}

/** Counts every change that is kept. Only reads, takes no locks. */
export async function auditChangeLogs(db: Database): Promise<ChangeShardAudit[]> {
  const rows = await db.query<[string, number, number, number, number]>(
    `SELECT s.log, s.shard, s.low, greatest(s.low, coalesce(max(c.seq), 0)),
       greatest(s.low, coalesce(max(c.seq), 0)) - s.low - count(c.seq) FILTER (WHERE c.seq > s.low)
     FROM ${db.table('shards')} s LEFT JOIN ${db.table('changes')} c ON c.log = s.log AND c.shard = s.shard
     WHERE position('.' in s.log) > 0 GROUP BY s.log, s.shard, s.low ORDER BY s.log, s.shard`,
  );
  return rows.map(([log, shard, low, head, missing]) => ({ log, shard, low, head, missing }));
}

export interface ProjectionProgress {
  readonly projection: string;
  readonly version: number;
  readonly source: string;
  /** Events that are not in the read model yet, over all shards. */
  readonly behind: number;
  /** Shards whose checkpoint is past the head of their log; 0 unless something is badly wrong. */
  readonly ahead: number;
}

/** One index probe per checkpoint. Only reads, takes no locks. */
export async function projectionProgress(db: Database): Promise<ProjectionProgress[]> {
  const rows = await db.query<[string, number, string, number, number]>(
    `SELECT p.projection, p.version, p.source, coalesce(sum(greatest(p.head - p.seq, 0)), 0)::bigint, count(*) FILTER (WHERE p.seq > p.head)
     FROM (
       SELECT c.projection, c.version, c.source, c.seq, greatest(s.low, coalesce((SELECT max(e.seq) FROM ${db.table('events')} e
         WHERE e.category = c.source AND e.shard = c.shard), 0)) AS head
       FROM ${db.table('checkpoints')} c JOIN ${db.table('shards')} s ON s.log = c.source AND s.shard = c.shard
     ) p GROUP BY p.projection, p.version, p.source ORDER BY p.projection, p.version, p.source`,
  );
  return rows.map(([projection, version, source, behind, ahead]) => ({
    projection,
    version,
    source,
    behind,
    ahead,
  }));
}
