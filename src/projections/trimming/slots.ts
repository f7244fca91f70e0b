/** The slots of all change logs as they lie on disk, whoever knows their projections; and what moves and drops them. */
import { quoteIdent, type Database } from '../../platform/postgres/database.js';
import { changeTable, slotOfTable, slotTableOf } from '../names.js';
import type { Slot, SlottedLog } from './plan.js';
import * as sql from './statements.js';

type Times = ReadonlyMap<string, { readonly openForMs: number; readonly closedForMs: number | null }>;

const idOf = (log: string, slot: number): string => `${log}/${slot}`;

/** Looks at every change log of the schema, those of versions that this process does not know included. */
export async function readSlots(db: Database): Promise<SlottedLog[]> {
  const logs = await db.query<[string, number, number]>(sql.selectLogs(db));
  const partitions = await db.query<[string, number, boolean]>(sql.SELECT_PARTITIONS, [db.table('changes')]);
  const noted = await db.query<[string, number, number, number | null]>(sql.selectTimes(db));
  const times: Times = new Map(
    noted.map(([log, slot, openForMs, closedForMs]) => [idOf(log, slot), { openForMs, closedForMs }]),
  );
  const found = new Map<string, Slot[]>();
  for (const [table, bytes, empty] of partitions) {
    const known = slotOfTable(table);
    if (!known) continue;
    const { log, slot } = known;
    const { openForMs = null, closedForMs = null } = times.get(idOf(log, slot)) ?? {};
    found.set(log, [...(found.get(log) ?? []), { slot, bytes, empty, openForMs, closedForMs }]);
  }
  await keepNotes(db, logs, found, times);
  return logs.flatMap(([log, open, trimmed]) => {
    const slots = (found.get(log) ?? []).sort((a, b) => a.slot - b.slot);
    return slots.length === 0 ? [] : [{ log, open, trimmed, slots }];
  });
}

/** Notes slots that are there, and forgets those that are not. */
async function keepNotes(
  db: Database,
  logs: readonly (readonly [string, number, number])[],
  found: ReadonlyMap<string, readonly Slot[]>,
  times: Times,
): Promise<void> {
  const there = logs.flatMap(([log, open]) =>
    (found.get(log) ?? [])
      .filter(({ slot }) => slot <= open)
      .map(({ slot }) => ({ log, slot, closed: slot < open })),
  );
  const unknown = there.filter(({ log, slot }) => !times.has(idOf(log, slot)));
  if (unknown.length > 0)
    await db.query(sql.noteSlots(db), [
      unknown.map(({ log }) => log),
      unknown.map(({ slot }) => slot),
      unknown.map(({ closed }) => closed),
    ]);
  const kept = new Set(there.map(({ log, slot }) => idOf(log, slot)));
  const open = new Map(logs.map(([log, slot]) => [log, slot]));
  // A slot that was opened since the look at the partitions is not gone.
  const gone = [...times.keys()]
    .filter((id) => !kept.has(id))
    .map((id) => ({ log: id.slice(0, id.lastIndexOf('/')), slot: Number(id.slice(id.lastIndexOf('/') + 1)) }))
    .filter(({ log, slot }) => slot < (open.get(log) ?? Infinity));
  if (gone.length > 0)
    await db.query(sql.forgetSlots(db), [gone.map(({ log }) => log), gone.map(({ slot }) => slot)]);
}

/** The open slot is empty: its time begins now. */
export async function renewSlot(db: Database, { log, open }: SlottedLog): Promise<void> {
  await db.query(sql.renewSlot(db), [log, open]);
}

/**
 * Opens the slot after the open one. Writers wait for one another and for this as they do for any batch; readers do not.
 * @returns false when another was faster, or the log is gone
 * @throws lock timeouts (`isTimeout`), after which nothing has happened but that the slot's empty table may be there
 */
export async function openNext(db: Database, { log, open }: SlottedLog): Promise<boolean> {
  const slot = open + 1;
  const made = await db.transaction(async (tx) => {
    await tx.query(sql.LOCK_TRIMMING, [quoteIdent(db.schema)]);
    const isThere = async (table: string): Promise<boolean> =>
      (await tx.query<[boolean]>(sql.SELECT_THERE, [db.table(table)]))[0]?.[0] === true;
    if (!(await isThere(changeTable(log) ?? ''))) return false;
    if (await isThere(slotTableOf(log, slot))) return true;
    for (const statement of sql.createSlot(db, log, slot)) await tx.query(statement);
    return true;
  });
  if (!made) return false;
  const [moved] = await db.query<[boolean]>(sql.openSlot(db), [log, slot]);
  return moved?.[0] === true;
}

/**
 * Drops the oldest slot and moves the low-water marks, in one transaction.
 * @param waitMs for readers to leave the log's table; writers and new readers wait meanwhile
 * @returns false when it is gone already, or not to be dropped
 * @throws lock timeouts (`isTimeout`), after which nothing has happened
 */
export async function dropSlot(db: Database, log: string, slot: number, waitMs: number): Promise<boolean> {
  const table = changeTable(log);
  if (table === undefined) return false;
  const [dropped] = await db.query<[boolean]>(sql.dropSlot(db), [
    log,
    slot,
    table,
    slotTableOf(log, slot),
    waitMs,
  ]);
  return dropped?.[0] === true;
}
