/** Takes the cursors of shards that are opened; those that are opened together share one call. */
import type { PartitionEnd } from '../broker/ports.js';
import type { Database } from '../platform/postgres/database.js';
import type { Lease } from '../platform/postgres/leases.js';
import type { Known } from './standing.js';
import { claimCursors } from './statements.js';

export interface Opening {
  readonly log: string;
  readonly shard: number;
  readonly lease: Lease;
  /** What Kafka’s partition ends with; read before. */
  readonly end: PartitionEnd;
}

export interface Claimed extends Known {
  /** Another shard of the log diverges: which, and how. */
  readonly other: string | undefined;
}

export type KnownColumns = [
  log: string,
  shard: number,
  epoch: string,
  low: number,
  head: number,
  cursorEpoch: string,
  seq: number,
  begun: number,
  diverged: string | null,
  other: string | null,
  knowsEpoch: boolean,
  eventId: string | null,
  recordedAt: string | null,
];

interface Waiting {
  readonly opening: Opening;
  resolve(claimed: Claimed | undefined): void;
  reject(error: unknown): void;
}

const idOf = ({ log, shard }: { readonly log: string; readonly shard: number }): string => `${log}/${shard}`;

export function claimedOf(row: KnownColumns): Claimed {
  const [, , epoch, low, head, cursorEpoch, seq, begun, diverged, other, knowsEpoch, eventId, recordedAt] =
    row;
  return {
    epoch,
    low,
    head,
    cursor: { epoch: cursorEpoch, seq, begun },
    mark: eventId ?? recordedAt,
    knowsEpoch,
    wasDiverged: diverged !== null,
    other: other ?? undefined,
  };
}

export class Openings {
  readonly #db: Database;
  #waiting: Waiting[] = [];

  constructor(db: Database) {
    this.#db = db;
  }

  /** @returns undefined when the lease is another’s. @throws as `Database.query` */
  claim(opening: Opening): Promise<Claimed | undefined> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ opening, resolve, reject });
      if (this.#waiting.length === 1) setImmediate(() => void this.#ask());
    });
  }

  async #ask(): Promise<void> {
    const all = this.#waiting;
    this.#waiting = [];
    // One process has one name among the holders.
    const holder = all[0]?.opening.lease.holder;
    const openings = all.map(({ opening }) => opening);
    const tails = openings.map(({ end }) => (typeof end === 'object' ? end : undefined));
    try {
      const rows = await this.#db.query<KnownColumns>(claimCursors(this.#db), [
        holder,
        openings.map(({ log }) => log),
        openings.map(({ shard }) => shard),
        openings.map(({ lease }) => lease.scope),
        openings.map(({ lease }) => lease.term),
        tails.map((tail) => tail?.seq ?? 0),
        tails.map((tail) => tail?.epoch ?? ''),
      ]);
      const found = new Map(rows.map((row) => [idOf({ log: row[0], shard: row[1] }), row]));
      for (const { opening, resolve } of all) {
        const row = found.get(idOf(opening));
        resolve(row && claimedOf(row));
      }
    } catch (error) {
      for (const { reject } of all) reject(error);
    }
  }
}
