/**
 * The states of a projection version, and all moves between them, in one table. The state is a column of `projections`, so
 * that every process and the command line see the same; it is only changed here, and only by a move that the table has.
 */
import type { Database, Queryable } from '../platform/postgres/database.js';

export const PROJECTION_STATES = [
  /** Its rows are being loaded; nobody reads them. */
  'building',
  /** It follows its events and has not all of them yet. */
  'catching_up',
  /** All that was there a few seconds ago is in. */
  'live',
  /** A shard at least stands still until somebody acts; `reason` says why. The others go on. */
  'halted',
  /** A shard at least waits for code that knows its next event. The others go on. */
  'needs_newer_code',
  /** An operator stopped it. */
  'paused',
  /** Its table is gone. */
  'retired',
] as const;
export type ProjectionState = (typeof PROJECTION_STATES)[number];

/** In these, nobody writes rows of events. */
export const CLOSED: readonly ProjectionState[] = ['building', 'paused', 'retired'];

export type ProjectionMove =
  /** All rows are loaded. */
  | 'loaded'
  | 'caught_up'
  | 'fell_behind'
  /** A shard (or the build) gave up. */
  | 'halt'
  | 'meet_newer'
  /** Nothing stands still any more: events are followed again, or the build goes on. */
  | 'follow'
  | 'build'
  | 'pause'
  /** From the beginning: the rows are thrown away and loaded again. */
  | 'rebuild'
  | 'retire';

type Moves = Readonly<Partial<Record<ProjectionMove, ProjectionState>>>;

const ANY_TIME = { pause: 'paused', rebuild: 'building', retire: 'retired' } as const;
const FAULTS = { halt: 'halted', meet_newer: 'needs_newer_code' } as const;

/** state → move → state. A move that is not here does not happen. */
export const MOVES: Readonly<Record<ProjectionState, Moves>> = {
  building: { loaded: 'catching_up', ...FAULTS, ...ANY_TIME },
  catching_up: { caught_up: 'live', ...FAULTS, ...ANY_TIME },
  live: { fell_behind: 'catching_up', ...FAULTS, ...ANY_TIME },
  halted: { follow: 'catching_up', build: 'building', ...ANY_TIME },
  // What halts needs a person; it is told before what newer code mends.
  needs_newer_code: { follow: 'catching_up', build: 'building', halt: 'halted', ...ANY_TIME },
  paused: { follow: 'catching_up', build: 'building', rebuild: 'building', retire: 'retired' },
  retired: { rebuild: 'building', follow: 'catching_up' },
};

type Versioned = { readonly name: string; readonly version: number };

/**
 * Locks: the version's row. Not by a join to the pairs: after a wait for another's move, Postgres would look at the new state with the
 * pair of the old one, and a move that the table has would not happen.
 * $1 name, $2 version, $3 states that the move starts from, $4 where it leads from each, $5 reason.
 */
const updateState = (db: Pick<Database, 'table'>): string =>
  `UPDATE ${db.table('projections')} p
   SET state = ($4::text[])[array_position($3::text[], p.state)], reason = $5, moved_at = now()
   WHERE p.name = $1 AND p.version = $2::int AND p.state = ANY ($3::text[]) RETURNING p.state`;

/**
 * Makes a move.
 * @param reason kept with the state; for `halt` and `meet_newer`
 * @returns the new state; undefined when the version is in no state that the move starts from (or is not there)
 */
export async function move(
  db: Queryable & Pick<Database, 'table'>,
  { name, version }: Versioned,
  what: ProjectionMove,
  reason?: string,
): Promise<ProjectionState | undefined> {
  const pairs = PROJECTION_STATES.flatMap((from) => {
    const to = MOVES[from][what];
    return to === undefined ? [] : [[from, to] as const];
  });
  const [row] = await db.query<[ProjectionState]>(updateState(db), [
    name,
    version,
    pairs.map(([from]) => from),
    pairs.map(([, to]) => to),
    reason ?? null,
  ]);
  return row?.[0];
}
