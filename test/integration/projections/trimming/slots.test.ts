/** Slots of a change log: opened by age and size, dropped as whole partitions, and what readers see of it. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Retention } from '../../../../src/domain/retention.js';
import { silentLogger } from '../../../../src/platform/logger.js';
import { isTimeout } from '../../../../src/platform/postgres/sqlstate.js';
import { auditChangeLogs } from '../../../../src/projections/audit.js';
import { readChanges } from '../../../../src/projections/change-log.js';
import { readSnapshot } from '../../../../src/projections/snapshot.js';
import { createSlot } from '../../../../src/projections/trimming/statements.js';
import { dropSlot, openNext, readSlots } from '../../../../src/projections/trimming/slots.js';
import { trimOnce } from '../../../../src/projections/trimming/trimmer.js';
import { readHeads } from '../../../../src/platform/postgres/logs.js';
import { slottedWorld, type SlottedWorld } from '../../../support/change-log.js';
import { Board, BOARD_LOG } from '../../../support/realtime/board.js';

const DAY: Retention = { maxAgeMs: 86_400_000, maxBytes: null };

let world: SlottedWorld;
beforeAll(async () => {
  world = await slottedWorld();
});
afterAll(() => world.end());

async function trim(retention: Retention = DAY): Promise<string[]> {
  const done: string[] = [];
  await trimOnce({
    db: world.db,
    retention: () => retention,
    logger: silentLogger,
    observer: { trimmed: (log, what) => done.push(`${log} ${what}`) },
  });
  return done;
}

async function next(): Promise<void> {
  const found = (await readSlots(world.db)).find(({ log }) => log === BOARD_LOG);
  if (!found || !(await openNext(world.db, found))) throw new Error('no slot was opened');
}

const drop = (slot: number): Promise<boolean> => dropSlot(world.db, BOARD_LOG, slot, 60_000);

/** Of a transaction that stands still on purpose: Postgres would end it after five seconds. */
const BEGIN = 'BEGIN; SET LOCAL idle_in_transaction_session_timeout = 0';

describe('slots', () => {
  // Whatever a test before left: everything is dropped but an empty slot.
  beforeEach(async () => {
    await next();
    for (const slot of (await world.slots()).slice(0, -1)) expect(await drop(slot)).toBe(true);
    expect(await world.slots()).toHaveLength(1);
  });

  it('are opened when the open one has its share of the age, and dropped when they are past it', async () => {
    const [first = -1] = await world.slots();
    const heads = await world.heads();
    const start = heads[0]?.[0] ?? -1;
    await world.write(0, 3);
    expect(await trim()).toEqual([]);
    await world.age('7 hours');
    expect(await trim()).toEqual(['board.v1 opened']);
    await world.write(0, 2);
    await world.write(2, 1);
    const stored = await world.db.query<[number, number, number]>(
      `SELECT slot, shard, count(*)::int FROM tidemark.changes WHERE log = $1 GROUP BY 1, 2 ORDER BY 1, 2`,
      [BOARD_LOG],
    );
    expect(stored).toEqual([
      [first, 0, 3],
      [first + 1, 0, 2],
      [first + 1, 2, 1],
    ]);
    expect(await world.after(0, start)).toEqual([1, 2, 3, 4, 5].map((n) => start + n));
    // Closed for less than its age: it may hold what is younger.
    await world.age('20 hours');
    expect(await trim()).toEqual(['board.v1 opened']);
    expect(await world.slots()).toHaveLength(3);
    await world.age('5 hours');
    expect(await trim()).toEqual(['board.v1 dropped']);
    expect(await world.slots()).toEqual([first + 1, first + 2]);
    expect(await world.after(0, start)).toEqual({ low: start + 3 });
    expect(await world.after(0, start + 2)).toEqual({ low: start + 3 });
    expect(await world.after(0, start + 3)).toEqual([start + 4, start + 5]);
  });

  it('are opened and dropped by size, the oldest first, until the rest fits', async () => {
    const bytes = async (): Promise<number[]> =>
      (await readSlots(world.db))
        .filter(({ log }) => log === BOARD_LOG)
        .flatMap(({ slots }) => slots.map((slot) => slot.bytes));
    for (let n = 0; n < 3; n++) {
      await world.write(1, 500);
      await next();
    }
    const sizes = await bytes();
    const total = sizes.reduce((sum, size) => sum + size, 0);
    const before = await world.slots();
    expect(await trim({ maxAgeMs: null, maxBytes: total })).toEqual([]);
    expect(await trim({ maxAgeMs: null, maxBytes: total - 1 })).toEqual(['board.v1 dropped']);
    expect(await world.slots()).toEqual(before.slice(1));
    await world.write(1, 500);
    // The open one has more than a quarter of what may be there.
    expect(await trim({ maxAgeMs: null, maxBytes: 1.5 * (sizes[0] ?? 0) })).toEqual([
      'board.v1 opened',
      'board.v1 dropped',
      'board.v1 dropped',
    ]);
    expect(await trim({ maxAgeMs: null, maxBytes: null })).toEqual([]);
  });

  it('that are empty are not closed, however old', async () => {
    const before = await world.slots();
    await world.age('100 days');
    expect(await trim()).toEqual([]);
    expect(await world.slots()).toEqual(before);
    // What is written now has its whole time.
    await world.write(0, 1);
    expect(await trim()).toEqual([]);
  });

  it('keep the head and the order of a quiet log when everything in it was trimmed', async () => {
    await world.write(0, 4);
    await world.write(1, 1);
    const heads = await world.heads();
    await next();
    await world.age('3 days');
    expect(await trim()).toEqual(['board.v1 dropped']);
    const [left] = await world.db.query<[number]>(
      `SELECT count(*)::int FROM tidemark.changes WHERE log = $1`,
      [BOARD_LOG],
    );
    expect(left).toEqual([0]);
    expect(await world.heads()).toEqual(heads.map(([head]) => [head, head]));
    const { pos } = await readSnapshot(world.db, Board, {}, 10);
    expect(pos).toEqual(heads.map(([head], shard) => [shard, head]));
    const head = heads[0]?.[0] ?? -1;
    expect(await world.after(0, head)).toEqual([]);
    expect(await world.after(0, head - 1)).toEqual({ low: head });
    await world.write(0, 1);
    expect(await world.after(0, head)).toEqual([head + 1]);
    expect((await auditChangeLogs(world.db)).filter(({ missing }) => missing !== 0)).toEqual([]);
  });

  it('never move a low-water mark backwards, and are not dropped while open or out of order', async () => {
    await world.write(0, 3);
    await next();
    await world.write(0, 3);
    await next();
    const [first = -1, second = -1, open = -1] = await world.slots();
    expect(await drop(open)).toBe(false);
    expect(await drop(second)).toBe(false);
    expect(await drop(open + 1)).toBe(false);
    const [head = -1] = (await world.heads())[0] ?? [];
    await world.db.query(`UPDATE tidemark.shards SET low = $2 WHERE log = $1 AND shard = 0`, [
      BOARD_LOG,
      head - 1,
    ]);
    expect(await drop(first)).toBe(true);
    expect(await drop(first)).toBe(false);
    expect((await world.heads())[0]).toEqual([head, head - 1]);
    expect(await drop(second)).toBe(true);
    expect((await world.heads())[0]).toEqual([head, head]);
  });

  it('of logs whose version no process knows are trimmed like all others', async () => {
    const log = 'gone_view.v3';
    for (const statement of [
      `INSERT INTO tidemark.shards (log, shard, epoch) SELECT '${log}', n, 'e' FROM generate_series(0, 2) n`,
      `CREATE TABLE tidemark._log_gone_view__v3 PARTITION OF tidemark.changes FOR VALUES IN ('${log}') PARTITION BY LIST (slot)`,
      `CREATE TABLE tidemark._log_gone_view__v3__s0 PARTITION OF tidemark._log_gone_view__v3 FOR VALUES IN (0)`,
    ])
      await world.db.query(statement);
    await world.write(0, 5, log);
    // A slot that nobody noted counts as new.
    expect(await trim()).toEqual([]);
    await world.age('1 day', log);
    expect(await trim()).toEqual([`${log} opened`]);
    await world.age('1 day', log);
    expect(await trim()).toEqual([`${log} dropped`]);
    expect(await world.heads(log)).toEqual([
      [5, 5],
      [0, 0],
      [0, 0],
    ]);
    await world.db.query(`DROP TABLE tidemark._log_gone_view__v3`);
    await world.db.query(`DELETE FROM tidemark.shards WHERE log = $1`, [log]);
    expect(await trim()).toEqual([]);
    const [notes] = await world.db.query(`SELECT slot FROM tidemark.change_slots WHERE log = $1`, [log]);
    expect(notes).toBeUndefined();
  });

  it('whose table was made by one who died then are opened by the next', async () => {
    const [open = -1] = await world.slots();
    for (const statement of createSlot(world.db, BOARD_LOG, open + 1)) await world.db.query(statement);
    await world.write(0, 1);
    await trim();
    expect(await world.slots()).toEqual([open, open + 1]);
    const stored = await world.db.query<[number]>(`SELECT DISTINCT slot FROM tidemark.changes`);
    expect(stored).toEqual([[open]]);
    const found = (await readSlots(world.db)).find(({ log }) => log === BOARD_LOG);
    if (!found) throw new Error('no log');
    // Two who trim at once: the second finds it done.
    expect([await openNext(world.db, found), await openNext(world.db, found)]).toEqual([true, false]);
    await world.write(0, 1);
    const now = await world.db.query<[number]>(`SELECT DISTINCT slot FROM tidemark.changes ORDER BY 1`);
    expect(now).toEqual([[open], [open + 1]]);
  });

  it('stay when a reader holds the log for long, and nothing has changed then', async () => {
    await world.write(0, 2);
    await next();
    const [first = -1] = await world.slots();
    const heads = await world.heads();
    const reader = await world.db.connect();
    try {
      await reader.query(BEGIN);
      await reader.query(`SELECT count(*) FROM tidemark._log_board__v1`);
      const failure = await dropSlot(world.db, BOARD_LOG, first, 50).catch((error: unknown) => error);
      expect(isTimeout(failure)).toBe(true);
      expect(await world.heads()).toEqual(heads);
      // Its locks are gone: who writes does not wait.
      await world.write(0, 1);
    } finally {
      await reader.query('ROLLBACK');
      reader.release();
    }
    expect(await drop(first)).toBe(true);
  });

  it('that are dropped while a statement waits are never seen with an old low-water mark', async () => {
    await world.write(0, 6);
    await next();
    await world.write(0, 1);
    const [first = -1] = await world.slots();
    const [head = -1] = (await world.heads())[0] ?? [];
    const trimmer = await world.db.connect();
    await trimmer.query(BEGIN);
    await trimmer.query(`SELECT tidemark.drop_change_slot_v1($1, $2, '_log_board__v1', $3, 1000)`, [
      BOARD_LOG,
      first,
      `_log_board__v1__s${first.toString(36)}`,
    ]);
    const readers = Promise.all([
      readChanges(world.db, BOARD_LOG, 0, head - 5, 10),
      readChanges(world.db, BOARD_LOG, 0, head - 5, 100),
      readSnapshot(world.db, Board, {}, 10),
      readHeads(world.db, { events: [], changes: [BOARD_LOG] }),
      world.write(0, 1).then(() => world.heads()),
    ]);
    await expect
      .poll(async () => {
        const [row] = await world.db.query<[number]>(
          `SELECT count(*)::int FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`,
        );
        return row?.[0];
      })
      .toBe(5);
    // Other logs, and the table of all of them, are not in its way.
    const locks = await world.db.query<[string]>(
      `SELECT DISTINCT l.relation::regclass::text FROM pg_locks l WHERE l.pid = $1 AND l.mode = 'AccessExclusiveLock' AND l.locktype = 'relation'`,
      [trimmer.pid],
    );
    const outside = locks
      .map(([name]) => name)
      .filter((name) => !/_log_board__v1|pg_toast/.test(name) && !/^\d+$/.test(name));
    expect(locks.length).toBeGreaterThan(1);
    expect(outside).toEqual([]);
    await trimmer.query('COMMIT');
    trimmer.release();
    const [page, long, snapshot, heads, written] = await readers;
    expect(page).toEqual({ kind: 'trimmed', low: head - 1 });
    expect(long).toEqual({ kind: 'trimmed', low: head - 1 });
    expect(snapshot.pos[0]?.[1]).toBeGreaterThanOrEqual(head);
    expect(heads.find(({ shard }) => shard === 0)).toMatchObject({ low: head - 1 });
    expect(written[0]).toEqual([head + 1, head - 1]);
  });
});
