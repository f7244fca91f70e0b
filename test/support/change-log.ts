/** A change log in a database of its own, written to by hand, and what a test wants to know of its slots. */
import { silentLogger } from '../../src/platform/logger.js';
import { Database, type Queryable } from '../../src/platform/postgres/database.js';
import { readHeads } from '../../src/platform/postgres/logs.js';
import { migrate } from '../../src/platform/postgres/migrate.js';
import { readChanges } from '../../src/projections/change-log.js';
import { ensureReadModel } from '../../src/projections/read-model.js';
import { readSlots } from '../../src/projections/trimming/slots.js';
import { freshDatabase } from './postgres.js';
import { BOARD_LOG, boardApp } from './realtime/board.js';

export interface SlottedWorld {
  readonly db: Database;
  readonly url: string;
  /** Writes changes as a batch does: under the lock of the shard, to the slot that it says. */
  write(shard: number, count: number, log?: string): Promise<void>;
  /** Lets time pass for the slots of a log. @param interval as Postgres reads it */
  age(interval: string, log?: string): Promise<void>;
  /** Numbers of the slots that are there. */
  slots(log?: string): Promise<number[]>;
  /** `[head, low]` of every shard. */
  heads(log?: string): Promise<(readonly [head: number, low: number])[]>;
  /** Seqs that a reader finds after a seq, or where it was trimmed. */
  after(shard: number, seq: number): Promise<number[] | { readonly low: number }>;
  end(): Promise<void>;
}

export async function slottedWorld(): Promise<SlottedWorld> {
  const pg = await freshDatabase();
  const db = new Database({
    connectionString: pg.url,
    schema: 'tidemark',
    role: 'test',
    logger: silentLogger,
    max: 12,
  });
  await migrate(db);
  await ensureReadModel(db, boardApp);
  return {
    db,
    url: pg.url,
    write: (shard, count, log = BOARD_LOG) =>
      db.transaction(async (tx) => writeChanges(tx, log, shard, count)),
    async age(interval, log = BOARD_LOG) {
      await db.query(
        `UPDATE tidemark.change_slots SET opened_at = opened_at - $2::interval, closed_at = closed_at - $2::interval WHERE log = $1`,
        [log, interval],
      );
    },
    async slots(log = BOARD_LOG) {
      const found = (await readSlots(db)).find((one) => one.log === log);
      return found?.slots.map(({ slot }) => slot) ?? [];
    },
    async heads(log = BOARD_LOG) {
      const found = await readHeads(db, { events: [], changes: [log] });
      return found.sort((a, b) => a.shard - b.shard).map(({ head, low }) => [head, low] as const);
    },
    async after(shard, seq) {
      const page = await readChanges(db, BOARD_LOG, shard, seq, 1_000);
      return page.kind === 'trimmed' ? { low: page.low } : page.entries.map((entry) => entry.seq);
    },
    async end() {
      await db.end();
      await pg.drop();
    },
  };
}

async function writeChanges(tx: Queryable, log: string, shard: number, count: number): Promise<void> {
  await tx.query(`SELECT FROM tidemark.shards WHERE log = $1 AND shard = $2 FOR NO KEY UPDATE`, [log, shard]);
  await tx.query(
    `INSERT INTO tidemark.changes (log, shard, seq, slot, key, "row", recorded_at)
     SELECT s.log, s.shard, h.head + n, s.slot, 'k', '{"id":"k","list":"a","done":null,"note":""}', clock_timestamp()
     FROM tidemark.shards s CROSS JOIN LATERAL (
       SELECT greatest(s.low, coalesce((SELECT max(c.seq) FROM tidemark.changes c WHERE c.log = s.log AND c.shard = s.shard), 0)) AS head
     ) h CROSS JOIN generate_series(1, $3::int) n WHERE s.log = $1 AND s.shard = $2`,
    [log, shard, count],
  );
}
