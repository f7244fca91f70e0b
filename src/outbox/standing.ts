/**
 * Where a shard’s relay goes on, from what Kafka’s partition ends with and what Postgres says: the arithmetic alone.
 *
 * Postgres is right. Kafka may have less than the cursor says (a broker that was restored, a topic made again), or more (a
 * crash before the cursor was moved). What it must not have is something that Postgres does not: then this database is not
 * the one that those records came from, or lost its end.
 */
import type { PartitionEnd, Tail } from '../broker/ports.js';
import type { RelayedLog } from './types.js';

/** Of Postgres, read after Kafka’s end, so that whatever Kafka has had been committed by then. */
export interface Known {
  /** Of the log, as of now. */
  readonly epoch: string;
  readonly low: number;
  readonly head: number;
  readonly cursor: { readonly epoch: string; readonly seq: number; readonly begun: number };
  /** Of the entry at the seq of Kafka’s last record; null where there is none. */
  readonly mark: string | null;
  /** The epoch of Kafka’s last record is one under which this log was ever sent. */
  readonly knowsEpoch: boolean;
  /** This shard was found to diverge at an earlier look. */
  readonly wasDiverged: boolean;
}

export type Standing =
  | {
      readonly kind: 'at';
      /** The first entry to send is the one after it. */
      readonly seq: number;
      /** The first record of the epoch is the one after it. */
      readonly begun: number;
      /** Of the entry at `seq`; undefined where it is not known. */
      readonly mark: string | undefined;
      /** Entries that were sent before and are sent again. */
      readonly again: number;
      /** Entries that were trimmed before they were sent. */
      readonly skipped: number;
    }
  | { readonly kind: 'diverged'; readonly found: string };

/** What tells a record from another one at the same seq; as `markOf` of entries. */
export const tailMark = (log: Pick<RelayedLog, 'kind'>, tail: Pick<Tail, 'id' | 'time'>): string =>
  log.kind === 'events' ? tail.id : tail.time;

/** Anyone may write what stands there: as much of it as people can read, and Postgres can keep. */
const shown = (text: string): string =>
  text
    .replaceAll(/\p{Cc}+/gu, ' ')
    .slice(0, 60)
    .toWellFormed();

const diverged = (found: string): Standing => ({ kind: 'diverged', found });

export function standing(log: Pick<RelayedLog, 'kind'>, end: PartitionEnd, known: Known): Standing {
  const { low, head } = known;
  // A log that was begun anew behind our back (a rebuilt change log) is sent from its beginning.
  const cursor = known.cursor.epoch === known.epoch ? known.cursor : { seq: low, begun: low };
  const at = (after: number, begun: number, mark?: string): Standing => {
    const seq = Math.max(after, low);
    return {
      kind: 'at',
      seq,
      begun: Math.min(begun, seq),
      mark: seq === after ? mark : undefined,
      again: Math.max(0, cursor.seq - seq),
      skipped: Math.max(0, low - Math.max(after, cursor.seq)),
    };
  };
  if (end === undefined) return at(0, low);
  if (end === 'emptied' || end === 'foreign') {
    // Nothing to compare with; and what was there once, others have read under this epoch.
    if (known.wasDiverged)
      return diverged('Kafka had what Postgres does not, and nothing is left there to compare with');
    return at(cursor.seq, cursor.begun);
  }
  if (end.epoch !== known.epoch) {
    if (!known.knowsEpoch)
      return diverged(`Kafka ends with seq ${end.seq} of epoch ${end.epoch}, which this database never had`);
    return at(cursor.begun, cursor.begun);
  }
  if (end.seq > head) return diverged(`Kafka ends with seq ${end.seq}, and Postgres with ${head}`);
  // Trimmed since, so that nothing is left to compare with.
  if (end.seq <= low && known.mark === null) return at(end.seq, cursor.begun);
  const mark = tailMark(log, end);
  if (known.mark !== mark)
    return diverged(
      `at seq ${end.seq}, Kafka has ${shown(mark)}, and Postgres ${known.mark === null ? 'nothing' : known.mark}`,
    );
  return at(end.seq, cursor.begun, mark);
}
