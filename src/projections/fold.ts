/**
 * Folds batches of events into rows, in memory. A row whose fold throws is parked: it stays as it was before that event,
 * which waits with all later ones of its key, and everything else goes on. Where nothing may be parked, an event counts as
 * a whole or not at all, and its batch ends before it.
 */
import { DomainError } from '../domain/errors.js';
import type { StoredEvent } from '../domain/events.js';
import { foldRow } from '../domain/folding.js';
import { foldPart } from '../domain/parts.js';
import type { AnyProjection, RowValue } from '../domain/projection.js';
import { messageOf } from '../platform/errors.js';
import { rowToJson } from './columns.js';
import { stopAt, type Decoded, type DecodedEvent, type Stop } from './decode.js';
import { partFault, rowFault } from './limits.js';
import type { Park, ParkingRoom, Queued } from './parked/types.js';
import { foldable, isPartCell, partIn, partValue } from './parts/cells.js';
import type { KnownRow } from './rows.js';

/** Events folded before others get a turn of the event loop. */
const EVENTS_A_TURN = 250;

/** A cell that a batch touches: a row (without joined columns while it is folded), or a part. */
export interface Touched {
  readonly before: KnownRow;
  row: RowValue | null;
}

export interface FoldOptions {
  /** Checks every row after every event, not only what the schema sees; to find the event at fault. */
  readonly strict: boolean;
  readonly parking: ParkingRoom;
}

export interface Folded {
  readonly touched: ReadonlyMap<string, Touched>;
  /** Where each batch stopped. */
  readonly stops: readonly (Stop | undefined)[];
  /** Keys that are to be parked now. */
  readonly parks: readonly Park[];
  /** Events that wait behind parked keys, those at fault included, in their order. */
  readonly queued: readonly Queued[];
}

/** An event of one of the batches that are folded together. */
interface Place {
  readonly batch: Decoded;
  readonly event: DecodedEvent;
}

/** The row after an event. @throws whatever the fold throws; DomainError `invalid_row` */
function foldEvent(
  projection: AnyProjection,
  { batch: { source }, event: { event, unreadable } }: Place,
  key: string,
  row: RowValue | null,
  strict: boolean,
): RowValue | null {
  if (event === undefined) throw unreadable;
  if (isPartCell(key)) {
    const part = foldPart(projection, source, partIn(row), event);
    const unfit = partFault(projection, source, part);
    if (unfit !== undefined) throw new DomainError('invalid_row', unfit);
    return partValue(part);
  }
  const next = foldRow(projection, source, key, row, event);
  const fault = strict && next !== null ? rowFault(projection, next, rowToJson(projection, next)) : undefined;
  if (fault !== undefined) throw new DomainError('invalid_row', `row ${JSON.stringify(key)}: ${fault}`);
  return next;
}

/** What became of one key of one event. */
type Outcome =
  | { readonly kind: 'row'; readonly entry: Touched; readonly row: RowValue | null }
  | { readonly kind: 'waits'; readonly key: string }
  | {
      readonly kind: 'fault';
      readonly key: string;
      readonly entry: Touched;
      readonly row: RowValue | null;
      /** Of the key, from the one at fault on. */
      readonly places: readonly Place[];
      readonly error: unknown;
    };

/** Events that it adds to those that wait. */
const waiting = (outcome: Outcome): number =>
  outcome.kind === 'waits' ? 1 : outcome.kind === 'fault' ? outcome.places.length : 0;

class Folding {
  readonly touched = new Map<string, Touched>();
  readonly parks = new Map<string, Park>();
  readonly queued: Queued[] = [];
  readonly stops: (Stop | undefined)[];
  readonly #projection: AnyProjection;
  readonly #batches: readonly Decoded[];
  readonly #rows: ReadonlyMap<string, KnownRow>;
  readonly #options: FoldOptions;
  /** Something waits, so that every key is looked up. */
  #waiting: boolean;

  constructor(
    projection: AnyProjection,
    batches: readonly Decoded[],
    rows: ReadonlyMap<string, KnownRow>,
    options: FoldOptions,
  ) {
    this.#projection = projection;
    this.#batches = batches;
    this.#rows = rows;
    this.#options = options;
    this.#waiting = options.parking.known.size > 0;
    this.stops = batches.map(({ stop }) => stop);
  }

  /** @returns why the batch ends before the event, which is not in then */
  one(place: Place): Stop | undefined {
    const outcomes: Outcome[] = [];
    let simple = true;
    for (const key of place.event.keys) {
      const outcome = this.#fold(place, key);
      if (outcome.kind !== 'row') simple = false;
      outcomes.push(outcome);
    }
    const error = simple ? undefined : this.#noRoom(outcomes);
    if (error !== undefined) {
      this.#restore(place);
      return stopAt(place.batch.entries, place.event.at, error.why);
    }
    for (const outcome of outcomes) this.#take(outcome, place);
    return undefined;
  }

  #fold(place: Place, key: string): Outcome {
    if (this.#waiting && (this.#options.parking.known.has(key) || this.parks.has(key))) {
      return { kind: 'waits', key };
    }
    const entry = this.#touch(key);
    try {
      const row = foldEvent(this.#projection, place, key, entry.row, this.#options.strict);
      return { kind: 'row', entry, row };
    } catch (error) {
      return this.#again(place, key, entry, error);
    }
  }

  #touch(key: string): Touched {
    const known = this.touched.get(key);
    if (known) return known;
    const before = this.#rows.get(key);
    if (!before) throw new Error(`row ${JSON.stringify(key)} was not loaded`);
    // A copy: a fold that writes into its row must not change what the row was, which its channels are told by.
    const entry = { before, row: foldable(this.#projection, key, before.row) };
    this.touched.set(key, entry);
    return entry;
  }

  /** Tries again, from the row as it was before the batch: a fold that threw may have written into what it got. */
  #again(place: Place, key: string, entry: Touched, first: unknown): Outcome {
    const places = this.#placesOf(key, place);
    const attempts = this.#options.parking.attempts;
    let fault: { at: number; error: unknown } = { at: places.length - 1, error: first };
    for (let attempt = 2; attempt <= attempts; attempt++) {
      const tried = this.#run(key, entry, places);
      if (!('error' in tried)) return { kind: 'row', entry, row: tried.row };
      fault = tried;
    }
    for (;;) {
      const clean = this.#run(key, entry, places.slice(0, fault.at));
      if (!('error' in clean)) {
        const left = places.slice(fault.at);
        return { kind: 'fault', key, entry, row: clean.row, places: left, error: fault.error };
      }
      // What could be folded a moment ago cannot be folded now: it is the one at fault then.
      fault = clean;
    }
  }

  #run(
    key: string,
    { before }: Touched,
    places: readonly Place[],
  ): { row: RowValue | null } | { at: number; error: unknown } {
    let row = foldable(this.#projection, key, before.json === null ? null : JSON.parse(before.json));
    for (const [at, place] of places.entries()) {
      try {
        row = foldEvent(this.#projection, place, key, row, this.#options.strict);
      } catch (error) {
        return { at, error };
      }
    }
    return { row };
  }

  /** The events of a key up to one of them, in the order in which they are folded. */
  #placesOf(key: string, last: Place): Place[] {
    const places: Place[] = [];
    for (const [index, batch] of this.#batches.entries()) {
      const end = batch === last.batch ? last.event.at : (this.stops[index]?.at ?? batch.entries.length) - 1;
      for (const event of batch.events) {
        if (event.at > end) break;
        if (event.keys.includes(key)) places.push({ batch, event });
      }
      if (batch === last.batch) break;
    }
    return places;
  }

  /** Why an event with these outcomes cannot be in; undefined when there is room to park what is to be parked. */
  #noRoom(outcomes: readonly Outcome[]): { readonly why: unknown } | undefined {
    const faults = outcomes.filter((outcome) => outcome.kind === 'fault');
    const [fault] = faults;
    const { parking } = this.#options;
    if (fault && this.parks.size + faults.length > parking.keys) {
      if (parking.maxKeys === 0) return { why: fault.error };
      return { why: new ParkingFull(`${parking.maxKeys} keys are parked, which is the most`, fault.error) };
    }
    if (this.queued.length + outcomes.reduce((sum, one) => sum + waiting(one), 0) > parking.events) {
      const full = `${parking.maxEvents} events wait behind parked keys, which is the most`;
      return { why: new ParkingFull(full, fault?.error) };
    }
    return undefined;
  }

  #take(outcome: Outcome, { batch, event }: Place): void {
    if (outcome.kind === 'waits') this.queued.push({ key: outcome.key, event: entryOf(batch, event) });
    else outcome.entry.row = outcome.row;
    if (outcome.kind !== 'fault') return;
    const { key, places, error } = outcome;
    const [at] = places;
    const attempts = this.#options.parking.attempts;
    if (at) this.parks.set(key, { key, event: entryOf(at.batch, at.event), error, attempts });
    for (const one of places) this.queued.push({ key, event: entryOf(one.batch, one.event) });
    this.#waiting = true;
  }

  /** Its rows are as if the event had not been tried. */
  #restore(place: Place): void {
    for (const key of place.event.keys) {
      const entry = this.touched.get(key);
      if (!entry || this.parks.has(key)) continue;
      const before = this.#placesOf(key, place).slice(0, -1);
      const clean = this.#run(key, entry, before);
      if ('error' in clean) throw clean.error;
      entry.row = clean.row;
    }
  }
}

/** There is no room for what would have to be parked. */
class ParkingFull extends Error {
  override readonly name = 'ParkingFull';

  constructor(message: string, cause: unknown) {
    super(cause === undefined ? message : `${message}; the next would be: ${messageOf(cause)}`, { cause });
  }
}

const entryOf = ({ entries }: Decoded, { at }: DecodedEvent): StoredEvent => {
  const entry = entries[at];
  if (!entry) throw new Error(`no event at ${at}`);
  return entry;
};

/**
 * Folds the batches one after the other.
 * @param rows the rows of all keys that are not parked, as they are before
 * @throws what an earlier event of a row threw that could be folded before: nothing can be said then
 */
export async function fold(
  projection: AnyProjection,
  batches: readonly Decoded[],
  rows: ReadonlyMap<string, KnownRow>,
  options: FoldOptions,
): Promise<Folded> {
  const folding = new Folding(projection, batches, rows, options);
  let done = 0;
  for (const [index, batch] of batches.entries()) {
    for (const event of batch.events) {
      if (++done % EVENTS_A_TURN === 0) await new Promise(setImmediate);
      const stop = folding.one({ batch, event });
      if (stop === undefined) continue;
      folding.stops[index] = stop;
      break;
    }
  }
  const { touched, stops, queued } = folding;
  return { touched, stops, queued, parks: [...folding.parks.values()] };
}
