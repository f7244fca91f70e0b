/**
 * Verifies rows of one stream each. All: rows and streams are walked side by side in the order of their keys, page by page, each page as of
 * a moment of its own; events before its checkpoints never change, so they are read after it, outside of it. Nothing is held meanwhile.
 */
import type { AnyProjection } from '../../domain/projection.js';
import type { StoredEvent } from '../../domain/events.js';
import { eventsByStream, eventsOfStreams } from '../../event-store/ordered.js';
import { byteOrder, sortByBytes } from '../../platform/postgres/logs.js';
import { shardOf } from '../../platform/murmur2.js';
import { readModelTable } from '../names.js';
import { EVENTS_A_TURN, type VerifyContext } from './context.js';
import { checkLastChanges, checkNamedChanges, checkWholeLog } from './changes.js';
import { judge } from './compare.js';
import { Refolded } from './folding.js';
import type { LeftOut } from './left-out.js';
import {
  readLeftOut,
  readPositions,
  readRowPage,
  readRowsByKey,
  type ActualRow,
  type Position,
} from './snapshot.js';
import { ESTIMATE_ROWS, sampleKeys, selectStreamsAt } from './statements.js';

/** Keys that are looked at as of one moment. */
const KEYS_AT_ONCE = 200;

/** One look: positions, rows and notes are of one moment. */
interface Look {
  readonly seqs: ReadonlyMap<number, number>;
  readonly leftOut: LeftOut;
  readonly rows: readonly ActualRow[];
}

const sourceName = ({ sources }: AnyProjection): string => sources[0]?.aggregate.name ?? '';
const seqsOf = (positions: readonly Position[]): ReadonlyMap<number, number> =>
  new Map(positions.map(({ shard, seq }) => [shard, seq]));

/** Folds the events of a look; `done` is called with each stream’s id after its last event that is in. */
async function refold(
  { projection, shards, bounds, findings }: VerifyContext,
  { seqs, leftOut }: Look,
  pages: AsyncIterable<readonly StoredEvent[]>,
  done: (streamId: string, refolded: Refolded) => void,
): Promise<void> {
  let refolded = new Refolded(projection, leftOut);
  let current: string | undefined;
  let read = 0;
  for await (const page of pages) {
    bounds.check();
    for (const event of page) {
      if (event.seq > (seqs.get(shardOf(event.streamId, shards)) ?? 0)) continue;
      if (event.streamId !== current) {
        if (current !== undefined) done(current, refolded);
        current = event.streamId;
        refolded = new Refolded(projection, leftOut);
      }
      findings.events++;
      refolded.add(event, () => true);
      if (++read % EVENTS_A_TURN === 0) await new Promise(setImmediate);
    }
  }
  if (current !== undefined) done(current, refolded);
}

/** Compares all rows of a look with its streams, both in the order of their keys. */
async function compareInOrder(
  context: VerifyContext,
  look: Look,
  pages: AsyncIterable<readonly StoredEvent[]>,
): Promise<void> {
  const { projection, findings } = context;
  const none = new Refolded(projection, look.leftOut);
  let at = 0;
  const extras = (before: string | undefined): void => {
    for (let row = look.rows[at]; row; row = look.rows[++at]) {
      if (before !== undefined && byteOrder(row.key, before) >= 0) return;
      judge(projection, findings, none, look.leftOut, row.key, row);
    }
  };
  await refold(context, look, pages, (streamId, refolded) => {
    extras(streamId);
    const row = look.rows[at]?.key === streamId ? look.rows[at++] : undefined;
    judge(projection, findings, refolded, look.leftOut, streamId, row);
  });
  extras(undefined);
}

export async function verifyAllStreams(context: VerifyContext): Promise<void> {
  const { db, projection, bounds, limit } = context;
  const category = sourceName(projection);
  for (let after = ''; ;) {
    const look = await bounds.asOfNow(db, async (tx) => {
      const seqs = seqsOf(await readPositions(db, tx, projection));
      const rows = await readRowPage(db, tx, projection, after);
      const upto = rows.at(-1)?.key;
      const leftOut = await readLeftOut(db, tx, projection, { after, ...(upto !== undefined && { upto }) });
      await checkNamedChanges({ ...context, tx }, rows);
      return { seqs, rows, leftOut, upto };
    });
    const { upto } = look;
    const range = { after, ...(upto !== undefined && { upto }) };
    await compareInOrder(context, look, eventsByStream(db, category, range));
    context.progress();
    if (upto === undefined) break;
    after = upto;
  }
  await bounds.asOfNow(db, (tx) => checkWholeLog({ ...context, tx }, limit));
}

export async function verifyStreams(context: VerifyContext, wanted: readonly string[]): Promise<void> {
  const { db, projection, bounds } = context;
  const sorted = sortByBytes([...new Set(wanted)]);
  for (let at = 0; at < sorted.length; at += KEYS_AT_ONCE) {
    const keys = sorted.slice(at, at + KEYS_AT_ONCE);
    const look = await bounds.asOfNow(db, async (tx) => {
      const seqs = seqsOf(await readPositions(db, tx, projection));
      const rows = await readRowsByKey(db, tx, projection, keys);
      const leftOut = await readLeftOut(db, tx, projection, { keys });
      await checkLastChanges({ ...context, tx }, keys, rows);
      return { seqs, leftOut, rows: rows.toSorted((a, b) => byteOrder(a.key, b.key)) };
    });
    await compareInOrder(context, look, eventsOfStreams(db, sourceName(projection), keys));
    context.progress();
  }
}

/**
 * Keys to look at: streams of random events, so that a row that is missing can be found, and random rows, so that one can be found that
 * should not be there.
 */
export async function drawStreams(
  { db, projection, bounds, seed }: VerifyContext,
  count: number,
  random: () => number,
): Promise<string[]> {
  return bounds.asOfNow(db, async (tx) => {
    const positions = (await readPositions(db, tx, projection)).filter(({ seq }) => seq > 0);
    const events = positions.reduce((sum, { seq }) => sum + seq, 0);
    const places = Array.from({ length: events === 0 ? 0 : count }, () => {
      let nth = Math.floor(random() * events);
      const found = positions.find(({ seq }) => (nth < seq ? true : ((nth -= seq), false)));
      return { shard: found?.shard ?? 0, seq: nth + 1 };
    });
    const streams = await tx.query<[string]>(selectStreamsAt(db), [
      sourceName(projection),
      places.map(({ shard }) => shard),
      places.map(({ seq }) => seq),
    ]);
    const [estimate] = await tx.query<[number]>(ESTIMATE_ROWS, [db.table(readModelTable(projection))]);
    const percent = Math.min(100, (count / Math.max(1, estimate?.[0] ?? 0)) * 200);
    const rows = await tx.query<[string]>(sampleKeys(db, projection), [percent, seed, count]);
    const half = Math.ceil(count / 2);
    const drawn = sortByBytes(streams.map(([id]) => id));
    // In random order, as which are left out must not depend on their names.
    const mixed = drawn
      .map((id) => ({ id, by: random() }))
      .toSorted((a, b) => a.by - b.by)
      .map(({ id }) => id);
    const fromRows = rows.map(([key]) => key);
    const first = [...mixed.slice(0, half), ...fromRows.slice(0, half)];
    const keys = new Set([...first, ...mixed, ...fromRows]);
    return [...keys].slice(0, count);
  });
}
