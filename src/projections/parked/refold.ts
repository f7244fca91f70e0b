/** Folds events that wait behind one parked key, on that key alone, as a worker would have. */
import { hasParts } from '../../domain/parts.js';
import type { AnyProjection } from '../../domain/projection.js';
import { decode, type Decoded } from '../decode.js';
import { fold, type Folded, type Touched } from '../fold.js';
import { partsArgument } from '../parts/apply-parts.js';
import { foldable, isPartCell } from '../parts/cells.js';
import { Joining } from '../parts/joining.js';
import { Rows, type KnownRow } from '../rows.js';
import { changesOf, type Change, type Writer } from '../write.js';
import type { WaitingEvent } from './queue.js';
import { ParkedKeys } from './room.js';
import type { ParkingRoom } from './types.js';

/** JSON text of rows that are kept or read at once, in characters. */
const MAX_CHARS = 64 * 1024 * 1024;

/** The event that cannot be folded this time either. */
export interface Fault {
  readonly at: WaitingEvent;
  readonly kind: 'poison' | 'needs_newer_code';
  readonly error: unknown;
}

/** What goes into one call of the function that writes; only with the last one do events leave the queue. */
export interface RefoldedPiece {
  readonly changes: readonly Change[];
  /** The argument that says which parts are written. */
  readonly parts: string | undefined;
  readonly last: boolean;
}

export interface Refolded {
  readonly pieces: AsyncIterable<RefoldedPiece>;
  readonly fault: Fault | undefined;
}

/** Events of one source after the other, as they come. */
function runsOf(projection: AnyProjection, cell: string, waiting: readonly WaitingEvent[]): Decoded[] {
  const runs: { source: string; events: WaitingEvent[] }[] = [];
  for (const one of waiting) {
    const last = runs.at(-1);
    if (last?.source === one.event.category) last.events.push(one);
    else runs.push({ source: one.event.category, events: [one] });
  }
  return runs.map(({ source, events }) => {
    const decoded = decode(
      projection,
      source,
      events.map(({ event }) => event),
    );
    const own = decoded.events.map((one) => ({ ...one, keys: one.keys.filter((key) => key === cell) }));
    return { ...decoded, events: own };
  });
}

/** Rows and parts, read anew. */
class Reading {
  readonly rows: Rows;
  readonly joining: Joining | undefined;

  constructor(db: Writer, projection: AnyProjection) {
    this.rows = new Rows(db, projection, MAX_CHARS);
    this.joining = hasParts(projection)
      ? new Joining({ db, projection, rows: this.rows, cacheChars: MAX_CHARS })
      : undefined;
  }

  async load(cell: string): Promise<Map<string, KnownRow>> {
    const found = isPartCell(cell)
      ? await this.joining?.load([cell], MAX_CHARS)
      : await this.rows.load([cell], MAX_CHARS);
    return found ?? new Map();
  }
}

/** The first event that is not in, and why. */
function faultOf(
  waiting: readonly WaitingEvent[],
  runs: readonly Decoded[],
  { stops, parks }: Folded,
): Fault | undefined {
  const [park] = parks;
  if (park) {
    const at = waiting.find(({ event }) => event === park.event);
    return at && { at, kind: 'poison', error: park.error };
  }
  for (const [run, stop] of stops.entries()) {
    if (!stop) continue;
    const before = runs.slice(0, run).reduce((sum, { entries }) => sum + entries.length, 0);
    const at = waiting[before + stop.at];
    return at && { at, kind: stop.kind, error: stop.error };
  }
  return undefined;
}

/**
 * @param db where rows are made of parts, a transaction that holds all checkpoints
 * @param cell the parked key (parts/cells.ts)
 * @param waiting the first events of its queue, without what is skipped
 * @throws BatchTooLarge when their changes do not go into one call and there are several of them
 */
export async function refold(
  db: Writer,
  projection: AnyProjection,
  cell: string,
  waiting: readonly WaitingEvent[],
): Promise<Refolded> {
  const reading = new Reading(db, projection);
  const room = await new ParkedKeys(db, projection).room();
  const rows = await reading.load(cell);
  const runs = runsOf(projection, cell, waiting);
  // What one run stops at, the next may not step over.
  const upto = runs.findIndex(({ stop }) => stop !== undefined);
  const reached = upto < 0 ? runs : runs.slice(0, upto + 1);
  const attempts = projection.parking ? projection.parking.attempts : 1;
  const most = Number.MAX_SAFE_INTEGER;
  const parking = { known: new Set<string>(), keys: 1, events: most, attempts, maxKeys: 1, maxEvents: most };
  const folded = await fold(projection, reached, rows, { strict: true, parking });
  return {
    fault: faultOf(waiting, runs, folded),
    pieces: piecesOf({ projection, cell, reading, room, rows, folded, runs, alone: waiting.length <= 1 }),
  };
}

interface Refolding {
  readonly projection: AnyProjection;
  readonly cell: string;
  readonly reading: Reading;
  readonly room: ParkingRoom;
  readonly rows: ReadonlyMap<string, KnownRow>;
  readonly folded: Folded;
  readonly runs: readonly Decoded[];
  readonly alone: boolean;
}

async function* piecesOf(refolding: Refolding): AsyncGenerator<RefoldedPiece> {
  const { projection, cell, reading, room, rows, folded, runs, alone } = refolding;
  const { joining } = reading;
  if (!joining) {
    yield { changes: changesOf(projection, folded.touched, MAX_CHARS), parts: undefined, last: true };
    return;
  }
  const touched = new Map<string, Touched>(folded.touched);
  const before = rows.get(cell);
  // While a row is parked, it does not get what its parts say; now it does, even where no event of its own is folded.
  if (before && !touched.has(cell))
    touched.set(cell, { before, row: foldable(projection, cell, before.row) });
  const others = new Set([...room.known].filter((known) => known !== cell));
  const whole: Folded = { ...folded, touched, parks: [] };
  const bounds = { alone, maxBytes: MAX_CHARS };
  for await (const piece of joining.pieces(whole, runs, rows, { known: others }, bounds)) {
    yield {
      changes: changesOf(projection, piece.touched, MAX_CHARS),
      parts: partsArgument(projection, piece.parts, room),
      last: piece.last,
    };
  }
}
