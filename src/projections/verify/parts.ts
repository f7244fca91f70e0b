/** Parts of streams, folded anew: what joined streams give to rows, and where rows that move stand. */
import type { StoredEvent } from '../../domain/events.js';
import { sourceOf, toRecorded } from '../../domain/folding.js';
import { foldPart, holderOf, joinedStreams, joinRow, keyOfPart, touchesPart } from '../../domain/parts.js';
import type { Part, StreamPart } from '../../domain/parts.js';
import type { AnyProjection, RowValue } from '../../domain/projection.js';
import { eventsByStream, eventsOfStreams } from '../../event-store/ordered.js';
import { partCell } from '../parts/cells.js';
import { EVENTS_A_TURN, type VerifyContext } from './context.js';
import { faultOf, type Expected } from './folding.js';
import type { LeftOut } from './left-out.js';
import type { Ahead, Position } from './snapshot.js';

/** Streams that are read one by one; of more, all of the category are. */
const ONE_BY_ONE = 2_000;

export interface PartsLook {
  readonly positions: readonly Position[];
  readonly leftOut: LeftOut;
  readonly ahead: readonly Ahead[];
}

/** What a stream's events make of its part. */
interface Outcome {
  /** Up to the checkpoint; undefined where there is none. */
  readonly part: Part | undefined;
  /** With the event that is being written to many rows. */
  readonly ahead: Part | undefined;
  readonly failed: string | undefined;
}

/** Of one stream. */
class PartFold {
  part: Part | undefined;
  ahead: Part | undefined;
  failed: string | undefined;
  readonly #projection: AnyProjection;
  readonly #leftOut: LeftOut;

  constructor(projection: AnyProjection, leftOut: LeftOut) {
    this.#projection = projection;
    this.#leftOut = leftOut;
  }

  add(stored: StoredEvent, isAhead: boolean): void {
    const source = sourceOf(this.#projection, stored.category);
    if (!source || !touchesPart(source, stored.type) || this.failed !== undefined) return;
    if (this.#leftOut.has(partCell(stored.category, stored.streamId), stored)) return;
    try {
      const next = foldPart(this.#projection, source, this.part, toRecorded(source, stored));
      if (isAhead) this.ahead = next;
      else this.part = next;
    } catch (error) {
      this.failed = faultOf(stored, error);
    }
  }
}

/** Folds the parts of streams that come one after the other. @param done called after the last event of each */
async function foldParts(
  { projection, bounds, findings }: VerifyContext,
  look: PartsLook,
  category: string,
  pages: AsyncIterable<readonly StoredEvent[]>,
  done: (streamId: string, outcome: Outcome) => void,
): Promise<void> {
  const seqs = new Map(
    look.positions.flatMap(({ source, shard, seq }) => (source === category ? [[shard, seq]] : [])),
  );
  const ahead = new Set(look.ahead.map((one) => `${one.category}/${one.shard}/${one.seq}`));
  let fold = new PartFold(projection, look.leftOut);
  let current: string | undefined;
  let read = 0;
  for await (const page of pages) {
    bounds.check();
    for (const event of page) {
      if (event.streamId !== current) {
        if (current !== undefined) done(current, fold);
        current = event.streamId;
        fold = new PartFold(projection, look.leftOut);
      }
      findings.events++;
      if (event.seq <= (seqs.get(event.shard) ?? 0)) fold.add(event, false);
      else if (ahead.has(`${category}/${event.shard}/${event.seq}`)) fold.add(event, true);
      if (++read % EVENTS_A_TURN === 0) await new Promise(setImmediate);
    }
  }
  if (current !== undefined) done(current, fold);
}

/** Where rows move: the rows of wanted keys. Every stream is folded, as any may stand there. */
export async function foldMoving(
  context: VerifyContext,
  look: PartsLook,
  wanted: (key: string) => boolean,
): Promise<Expected> {
  const { db, projection } = context;
  const at = new Map<string, StreamPart[]>();
  const failed = new Map<string, string>();
  for (const { aggregate, moving } of projection.sources) {
    if (!moving) continue;
    const source = aggregate.name;
    const pages = eventsByStream(db, source, { after: '' });
    await foldParts(context, look, source, pages, (streamId, outcome) => {
      // The row is moved together with its part, before the event counts as in.
      const part = outcome.ahead ?? outcome.part;
      const key = part && keyOfPart(projection, part);
      if (outcome.failed !== undefined) failed.set(key ?? streamId, outcome.failed);
      if (part && key !== undefined && wanted(key))
        at.set(key, [...(at.get(key) ?? []), { source, streamId, part }]);
    });
  }
  const rows = new Map<string, RowValue>();
  for (const [key, parts] of at) {
    const row = holderOf(parts)?.part.row;
    if (row) rows.set(key, row);
  }
  return { rows, also: new Map(), failed };
}

/** Adds to rows what the streams that they name give. */
export async function joinRows(context: VerifyContext, look: PartsLook, own: Expected): Promise<Expected> {
  const { db, projection } = context;
  if (projection.joins.length === 0) return own;
  const named = new Map<string, Set<string>>();
  for (const row of own.rows.values()) {
    for (const { source, streamId } of joinedStreams(projection, row))
      named.set(source, (named.get(source) ?? new Set<string>()).add(streamId));
  }
  const parts = new Map<string, Outcome>();
  for (const [category, streams] of named) {
    const few = streams.size <= ONE_BY_ONE;
    const pages = few ? eventsOfStreams(db, category, streams) : eventsByStream(db, category, { after: '' });
    await foldParts(context, look, category, pages, (streamId, { part, ahead, failed }) => {
      if (streams.has(streamId)) parts.set(partCell(category, streamId), { part, ahead, failed });
    });
  }
  const rows = new Map<string, RowValue>();
  const also = new Map<string, RowValue>();
  const failed = new Map(own.failed);
  for (const [key, row] of own.rows) {
    const outcomes = joinedStreams(projection, row).flatMap(
      ({ source, streamId }) => parts.get(partCell(source, streamId)) ?? [],
    );
    const fault = outcomes.find((one) => one.failed !== undefined)?.failed;
    if (fault !== undefined) failed.set(key, fault);
    const partOf = (source: string, id: string): Part | undefined => parts.get(partCell(source, id))?.part;
    rows.set(key, joinRow(projection, row, partOf));
    if (!outcomes.some(({ ahead }) => ahead)) continue;
    const aheadOf = (source: string, id: string): Part | undefined =>
      parts.get(partCell(source, id))?.ahead ?? partOf(source, id);
    also.set(key, joinRow(projection, row, aheadOf));
  }
  return { rows, also, failed };
}
