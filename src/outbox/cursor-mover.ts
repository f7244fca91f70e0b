/**
 * Moves cursors behind what Kafka acknowledged. Nobody waits for it: what a crash leaves unmoved is sent again, and readers drop
 * it by (epoch, seq). So all shards that moved within a moment share one call, and one call runs at a time.
 */
import { backoff } from '../platform/pause.js';
import type { Logger } from '../platform/logger.js';
import type { Database } from '../platform/postgres/database.js';
import type { Lease } from '../platform/postgres/leases.js';
import { moveCursors } from './statements.js';

/** Milliseconds between a first move and the call that writes it, with those that came meanwhile. */
const GATHER_MS = 50;
const LONGEST_PAUSE_MS = 5_000;

/** One opening of one shard. */
export interface Track {
  /** Kafka has everything up to it. */
  moved(seq: number): void;
}

interface Tracked {
  readonly log: string;
  readonly shard: number;
  readonly lease: Lease;
  /** As Postgres has it. */
  from: number;
  to: number;
  readonly lost: () => void;
}

export class CursorMover {
  readonly #db: Database;
  readonly #logger: Logger;
  /** Those with something to write; the newest opening of a shard only. */
  readonly #due = new Map<string, Tracked>();
  #timer: NodeJS.Timeout | undefined;
  #writing: Promise<void> | undefined;
  #failures = 0;

  constructor(db: Database, logger: Logger) {
    this.#db = db;
    this.#logger = logger;
  }

  /**
   * @param from where the cursor is
   * @param lost called when the cursor was not where this opening left it, or is another’s: nothing was moved
   */
  track(log: string, shard: number, lease: Lease, from: number, lost: () => void): Track {
    const tracked: Tracked = { log, shard, lease, from, to: from, lost };
    const id = `${log}/${shard}`;
    return {
      moved: (seq) => {
        tracked.to = seq;
        this.#due.set(id, tracked);
        if (this.#writing === undefined) this.#schedule(GATHER_MS);
      },
    };
  }

  /** Writes what is due, once. Never rejects. */
  async flush(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    await this.#writing;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#due.size > 0) await this.#begin();
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #schedule(ms: number): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      void this.#begin();
    }, ms);
  }

  #begin(): Promise<void> {
    this.#writing ??= this.#write().finally(() => {
      this.#writing = undefined;
      if (this.#due.size === 0) return;
      const pause = this.#failures === 0 ? GATHER_MS : backoff(this.#failures, 100, LONGEST_PAUSE_MS);
      this.#schedule(pause);
    });
    return this.#writing;
  }

  async #write(): Promise<void> {
    const batch = [...this.#due.values()].map((tracked) => ({ tracked, to: tracked.to }));
    const holders = new Set(batch.map(({ tracked }) => tracked.lease.holder));
    try {
      for (const holder of holders)
        await this.#move(
          holder,
          batch.filter(({ tracked }) => tracked.lease.holder === holder),
        );
      if (this.#failures > 0) this.#logger.info('the relay’s cursors are moved again');
      this.#failures = 0;
    } catch (err) {
      if (this.#failures++ === 0)
        this.#logger.warn({ err }, 'the relay’s cursors cannot be moved; trying on');
    }
  }

  async #move(
    holder: string,
    batch: readonly { readonly tracked: Tracked; readonly to: number }[],
  ): Promise<void> {
    const rows = await this.#db.query<[string, number]>(moveCursors(this.#db), [
      holder,
      batch.map(({ tracked }) => tracked.log),
      batch.map(({ tracked }) => tracked.shard),
      batch.map(({ tracked }) => tracked.lease.term),
      batch.map(({ tracked }) => tracked.from),
      batch.map(({ to }) => to),
    ]);
    const moved = new Set(rows.map(([log, shard]) => `${log}/${shard}`));
    for (const { tracked, to } of batch) {
      const id = `${tracked.log}/${tracked.shard}`;
      const isNewest = this.#due.get(id) === tracked;
      if (!moved.has(id)) {
        if (isNewest) this.#due.delete(id);
        tracked.lost();
        continue;
      }
      tracked.from = to;
      if (isNewest && tracked.to === to) this.#due.delete(id);
    }
  }
}
