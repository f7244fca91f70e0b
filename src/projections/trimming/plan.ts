/** Decides what is due of one change log: a new slot, or dropping its oldest ones. Pure. */
import type { Retention } from '../../domain/retention.js';

export interface Slot {
  readonly slot: number;
  /** On disk, indexes included. */
  readonly bytes: number;
  /** Nothing was ever written to it. */
  readonly empty: boolean;
  /** For how long it has been open, or closed for new entries, ms; null where it is not. */
  readonly openForMs: number | null;
  readonly closedForMs: number | null;
}

/** A change log as it lies on disk. */
export interface SlottedLog {
  readonly log: string;
  /** The slot that new entries go to. */
  readonly open: number;
  /** Entries that were ever trimmed: the sum of its low-water marks. */
  readonly trimmed: number;
  /** Oldest first. */
  readonly slots: readonly Slot[];
}

export interface Plan {
  /** `new`: a new slot is opened; `renew`: the open one is empty, so that its time begins now. */
  readonly open: 'new' | 'renew' | 'keep';
  /** Closed slots to drop, oldest first. */
  readonly drop: readonly number[];
}

/**
 * So many slots make up what is kept, as far as it goes by whole slots: an entry stays for its time and up to a quarter
 * longer, and a log that is too large loses about a quarter at once. Each slot costs every read and every write of the log a
 * look into its index, so that they are few.
 */
const PARTS = 4;

export function planOf({ open, slots }: SlottedLog, { maxAgeMs, maxBytes }: Retention): Plan {
  const current = slots.find(({ slot }) => slot === open);
  const isOld = maxAgeMs !== null && (current?.openForMs ?? 0) >= maxAgeMs / PARTS;
  const isLarge = maxBytes !== null && (current?.bytes ?? 0) >= maxBytes / PARTS;
  const due = current?.empty === true ? (isOld ? 'renew' : 'keep') : isOld || isLarge ? 'new' : 'keep';
  const drop: number[] = [];
  let bytes = slots.reduce((sum, slot) => sum + slot.bytes, 0);
  for (const { slot, bytes: own, closedForMs } of slots) {
    // What was closed so long ago holds nothing younger.
    const isPast = maxAgeMs !== null && closedForMs !== null && closedForMs >= maxAgeMs;
    const isTooMuch = maxBytes !== null && bytes > maxBytes;
    if (slot >= open || (!isPast && !isTooMuch)) break;
    drop.push(slot);
    bytes -= own;
  }
  return { open: due, drop };
}
