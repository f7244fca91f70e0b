/** What tests of parked keys look at. */
import type { AnyProjection } from '../../src/domain/projection.js';
import { readSnapshot } from '../../src/projections/snapshot.js';
import type { ProjectingProcess } from './projecting.js';

export const opened = (owner = 'ann') => ({ type: 'Opened', data: { owner }, tags: { owner } });
export const paid = (cents: number, owner = 'ann') => ({ type: 'Paid', data: { cents }, tags: { owner } });
export const moved = (cents: number, ...to: string[]) => ({ type: 'Moved', data: { to, cents } });

type Connected = Pick<ProjectingProcess, 'db'>;

/** Key → cents, of each row. */
export async function centsOf({ db }: Connected, one: AnyProjection): Promise<Record<string, unknown>> {
  const { rows } = await readSnapshot(db, one, {}, 1_000);
  return Object.fromEntries(rows.map(([key, , row]) => [key, JSON.parse(row).cents]));
}

/** Projection, key, seq of the event at fault, and how many events wait; of each parked key. */
export const parked = ({ db }: Connected) =>
  db.query<[string, string, number, number]>(
    'SELECT projection, key, seq, queued FROM tidemark.parked ORDER BY projection, key',
  );

/** Seqs of the events that wait behind a key, in their order. */
export async function queueOf({ db }: Connected, key: string): Promise<number[]> {
  const rows = await db.query<[number]>(
    'SELECT seq FROM tidemark.parked_events WHERE key = $1 AND skipped_at IS NULL ORDER BY n',
    [key],
  );
  return rows.map(([seq]) => seq);
}
