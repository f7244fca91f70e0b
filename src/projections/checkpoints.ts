/** How far projections have come, as Postgres knows it. */
import type { Database } from '../platform/postgres/database.js';
import { selectCheckpoints } from './statements.js';

export interface Checkpoint {
  readonly projection: string;
  readonly version: number;
  /** Event category. */
  readonly source: string;
  readonly shard: number;
  /** Events of the shard up to this seq are in the read model. */
  readonly seq: number;
}

/** The checkpoints of some projection versions, in one query. */
export async function readCheckpoints(
  db: Database,
  projections: readonly { readonly name: string; readonly version: number }[],
): Promise<Checkpoint[]> {
  const rows = await db.query<[string, number, string, number, number]>(selectCheckpoints(db), [
    projections.map(({ name }) => name),
    projections.map(({ version }) => version),
  ]);
  return rows.map(([projection, version, source, shard, seq]) => ({
    projection,
    version,
    source,
    shard,
    seq,
  }));
}
