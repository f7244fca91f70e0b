/**
 * Verifies rows of many streams: their events are read in the one order that a build folds them in, and only the rows of a part of the
 * keys are kept. A sample is one such part, and one pass; all is as many passes as it takes for each part to fit into memory. The rows of
 * a part and the checkpoints are of one moment; the events, which never change, are read after it.
 */
import { createHash } from 'node:crypto';
import { hasRows } from '../../domain/sources.js';
import { readInTime, type ShardRange } from '../../event-store/copy-out.js';
import { timeWindows } from '../../event-store/time-windows.js';
import type { Queryable } from '../../platform/postgres/database.js';
import { checkLastChanges, checkNamedChanges, checkWholeLog } from './changes.js';
import { judge } from './compare.js';
import { Refolded, type Expected } from './folding.js';
import { foldMoving, joinRows, type PartsLook } from './parts.js';
import { EVENTS_A_TURN, type VerifyContext } from './context.js';
import {
  measureSlice,
  readAhead,
  readLeftOut,
  readPositions,
  readRowsByKey,
  readSlice,
  type ActualRow,
  type Slice,
} from './snapshot.js';

const PLACES = 2 ** 32;
/** Of the rows of one pass, as Postgres reckons them; they take a few times as much in memory, and twice. */
const PASS_BYTES = 32 * 1024 * 1024;

/** Where a key falls among 2^32 places, by a seed: the same as in statements.ts. */
const placeOf = (seed: number, key: string): number =>
  createHash('sha256').update(`${seed}/${key}`).digest().readUInt32BE(0);

interface Look extends PartsLook {
  readonly rows: readonly ActualRow[];
}

/** More rows came up than were there, so that the pass went on with fewer keys. */
interface Cut {
  readonly til: number;
}

type Wanted = (key: string) => boolean;

async function* inTurn<T>(list: readonly T[]): AsyncGenerator<T> {
  yield* list;
}

/** Folds the events of all sources but those that only are joined, in the order in which a build folds them. */
async function refold(
  { db, projection, bounds, findings, rowsAtOnce }: VerifyContext,
  { positions, leftOut, rows }: Look,
  wanted: Wanted,
  full: (refolded: Refolded) => void,
): Promise<Refolded> {
  const refolded = new Refolded(projection, leftOut);
  const maxRows = Math.max(rowsAtOnce, 2 * rows.length);
  const folded = projection.sources.filter(hasRows).map(({ aggregate }) => aggregate.name);
  const ranges = positions
    .filter(({ source }) => folded.includes(source))
    .map(({ source: category, shard, seq: upto }) => ({ category, shard, after: 0, upto }));
  // All before the first is read: what reads has two connections, and a small pool has no third.
  const windows: (readonly ShardRange[])[] = [];
  for await (const window of timeWindows(db, ranges)) {
    bounds.check();
    windows.push(window);
  }
  let read = 0;
  for await (const page of readInTime(db, inTurn(windows), bounds.ended)) {
    bounds.check();
    for (const event of page) {
      refolded.add(event, wanted);
      if (++read % EVENTS_A_TURN === 0) await new Promise(setImmediate);
    }
    findings.events += page.length;
    while (refolded.rows.size + refolded.failed.size > maxRows) full(refolded);
  }
  return refolded;
}

/** What the rows of wanted keys should be. @param full called when there are more rows than allowed; makes fewer keys wanted */
async function expectedRows(
  context: VerifyContext,
  look: Look,
  wanted: Wanted,
  full: (refolded: Refolded) => void,
): Promise<Expected> {
  const own = context.projection.rowsMove
    ? await foldMoving(context, look, wanted)
    : await context.bounds.within(() => refold(context, look, wanted, full));
  return joinRows(context, look, own);
}

function judgeAll(
  { projection, findings }: VerifyContext,
  { rows, leftOut }: Look,
  expected: Expected,
  wanted: Wanted,
): void {
  const left = new Set([...expected.rows.keys(), ...expected.failed.keys()]);
  for (const row of rows) {
    left.delete(row.key);
    if (wanted(row.key)) judge(projection, findings, expected, leftOut, row.key, row);
  }
  for (const key of left) if (wanted(key)) judge(projection, findings, expected, leftOut, key, undefined);
}

/** One pass. @param look reads the rows of the slice, which it may make smaller */
async function pass(
  context: VerifyContext,
  slice: Slice,
  look: (tx: Queryable) => Promise<Look & Cut>,
): Promise<Cut> {
  const { db, seed, bounds } = context;
  const seen = await bounds.asOfNow(db, look);
  let { til } = seen;
  const wanted: Wanted = (key) => {
    const place = placeOf(seed, key);
    return place >= slice.from && place < til;
  };
  const full = ({ rows, failed }: Refolded): void => {
    til = Math.max(slice.from + 1, slice.from + Math.floor((til - slice.from) / 2));
    for (const key of rows.keys()) if (!wanted(key)) rows.delete(key);
    for (const key of failed.keys()) if (!wanted(key)) failed.delete(key);
  };
  judgeAll(context, seen, await expectedRows(context, seen, wanted, full), wanted);
  context.progress();
  return { til };
}

/** The rows of a slice, or of as much of it as fits. */
async function lookAt(
  { db, projection, seed, rowsAtOnce }: VerifyContext,
  tx: Queryable,
  slice: Slice,
): Promise<Look & Cut> {
  const positions = await readPositions(db, tx, projection);
  let { til } = slice;
  for (;;) {
    const { rows, bytes } = await measureSlice(db, tx, projection, seed, { ...slice, til });
    const times = Math.max(rows / rowsAtOnce, bytes / PASS_BYTES);
    if (times <= 1 || til - slice.from <= 1) break;
    til = Math.max(slice.from + 1, slice.from + Math.floor(((til - slice.from) / times) * 0.9));
  }
  const rows = await readSlice(db, tx, projection, seed, { ...slice, til });
  const leftOut = await readLeftOut(db, tx, projection, {});
  return { positions, rows, leftOut, ahead: await readAhead(db, tx, projection), til };
}

export async function verifyAllKeys(context: VerifyContext): Promise<void> {
  const { db, bounds, limit } = context;
  for (let from = 0; from < PLACES;) {
    const slice = { from, til: PLACES };
    const { til } = await pass(context, slice, async (tx) => {
      const look = await lookAt(context, tx, slice);
      await checkNamedChanges({ ...context, tx }, look.rows);
      return look;
    });
    from = til;
  }
  await bounds.asOfNow(db, (tx) => checkWholeLog({ ...context, tx }, limit));
}

export async function verifySampleOfKeys(context: VerifyContext, count: number): Promise<void> {
  const { db, projection, seed } = context;
  await pass(context, { from: 0, til: PLACES }, async (tx) => {
    const { rows } = await measureSlice(db, tx, projection, seed, { from: 0, til: PLACES });
    const til = rows <= count ? PLACES : Math.max(1, Math.ceil((PLACES * count) / rows));
    const look = await lookAt(context, tx, { from: 0, til });
    const keys = look.rows.map(({ key }) => key);
    await checkLastChanges({ ...context, tx }, keys, look.rows);
    return look;
  });
}

export async function verifyKeys(context: VerifyContext, keys: readonly string[]): Promise<void> {
  const { db, projection, bounds } = context;
  const among = new Set(keys);
  const look = await bounds.asOfNow(db, async (tx) => {
    const positions = await readPositions(db, tx, projection);
    const rows = await readRowsByKey(db, tx, projection, keys);
    const leftOut = await readLeftOut(db, tx, projection, { keys });
    const ahead = await readAhead(db, tx, projection);
    await checkLastChanges({ ...context, tx }, keys, rows);
    return { positions, rows, leftOut, ahead };
  });
  const wanted: Wanted = (key) => among.has(key);
  judgeAll(
    context,
    look,
    await expectedRows({ ...context, rowsAtOnce: Number.POSITIVE_INFINITY }, look, wanted, () => undefined),
    wanted,
  );
}
