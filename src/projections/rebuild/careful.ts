/** Folds one stream again, as live workers do: with attempts, and with parking of what throws. The way for what a fast fold cannot do. */
import type { ProjectionSource, RowValue } from '../../domain/projection.js';
import { readStream } from '../../event-store/reads.js';
import { eventStoreStatements } from '../../event-store/statements.js';
import { decode, type Stop } from '../decode.js';
import { fold } from '../fold.js';
import type { Park, ParkingRoom, Queued } from '../parked/types.js';
import { NO_ROW, type KnownRow } from '../rows.js';
import { LOADED_REVISION } from './row-lines.js';
import type { StreamTarget } from './target.js';
import { BuildStop, type BuildOptions, type BuildShard } from './types.js';

export interface CarefulFold {
  readonly streamId: string;
  /** The row, or the part. */
  readonly row: RowValue | null;
  readonly parks: readonly Park[];
  readonly queued: readonly Queued[];
}

/** An event may be large. */
const PAGE = 100;

export const buildStop = ({ kind, event, error }: Stop): BuildStop =>
  new BuildStop(kind === 'poison' ? 'halted' : kind, event, error);

/**
 * @param stream up to its shard's `upto`
 * @throws BuildStop when it can be neither folded nor parked
 */
export async function foldCarefully(
  { db, projection }: Pick<BuildOptions, 'db' | 'projection'>,
  { source: { aggregate }, target }: { source: ProjectionSource; target: StreamTarget },
  stream: BuildShard & { readonly streamId: string },
  room: ParkingRoom,
): Promise<CarefulFold> {
  const { streamId, upto } = stream;
  const statements = eventStoreStatements(db);
  const parks: Park[] = [];
  const queued: Queued[] = [];
  const cell = target.cell(streamId);
  let row: KnownRow = NO_ROW;
  for (let from = 1; ;) {
    const read = { category: aggregate.name, streamId, from, limit: PAGE };
    const page = await readStream(db, statements, read);
    const entries = page.filter(({ seq }) => seq <= upto);
    const last = entries.at(-1);
    if (!last) return { streamId, row: row.row, parks, queued };
    from = last.version + 1;
    const known = new Set(parks.map(({ key }) => key));
    const parking = { ...room, known, keys: room.keys - parks.length, events: room.events - queued.length };
    const batch = decode(projection, aggregate.name, entries);
    const folded = await fold(projection, [batch], new Map([[cell, row]]), { strict: true, parking });
    const [stop] = folded.stops;
    if (stop) throw buildStop(stop);
    parks.push(...folded.parks);
    queued.push(...folded.queued);
    const touched = folded.touched.get(cell);
    if (touched) {
      const { row: next } = touched;
      row = next === null ? NO_ROW : { rev: LOADED_REVISION, row: next, json: target.json(next) };
    }
  }
}
