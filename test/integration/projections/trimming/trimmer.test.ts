/** The trimmer among processes, and constant trims beside writers and readers: no deadlock, no hole, nobody fails. */
import { randomInt } from 'node:crypto';
import { expect, it, onTestFinished } from 'vitest';
import { silentLogger } from '../../../../src/platform/logger.js';
import { Database } from '../../../../src/platform/postgres/database.js';
import { Leases } from '../../../../src/platform/postgres/leases.js';
import { readHeads } from '../../../../src/platform/postgres/logs.js';
import { isTimeout } from '../../../../src/platform/postgres/sqlstate.js';
import { readChanges } from '../../../../src/projections/change-log.js';
import { readSnapshot } from '../../../../src/projections/snapshot.js';
import { dropSlot, openNext, readSlots } from '../../../../src/projections/trimming/slots.js';
import { Trimmer } from '../../../../src/projections/trimming/trimmer.js';
import { slottedWorld, type SlottedWorld } from '../../../support/change-log.js';
import { randomFrom } from '../../../support/random.js';
import { Board, BOARD_LOG, SHARDS } from '../../../support/realtime/board.js';

async function fresh(): Promise<SlottedWorld> {
  const world = await slottedWorld();
  onTestFinished(() => world.end());
  return world;
}

it('is one among all processes, and another takes over when it stops', async () => {
  const world = await fresh();
  const seen: string[] = [];
  let wake: () => void = () => undefined;
  const until = async (done: () => boolean): Promise<void> => {
    while (!done()) await new Promise<void>((resolve) => (wake = resolve));
  };
  const process = async (name: string): Promise<{ trimmer: Trimmer; stop(): Promise<void> }> => {
    const pulse = new Database({
      connectionString: world.url,
      schema: 'tidemark',
      role: name,
      logger: silentLogger,
      max: 1,
    });
    const leases = new Leases({ db: pulse, logger: silentLogger, beatMs: 50, ttlMs: 600_000 });
    await leases.start();
    const trimmer = new Trimmer({
      db: world.db,
      leases,
      // Everything is too old at once, so that each look trims what was written before it.
      retention: () => ({ maxAgeMs: 0, maxBytes: null }),
      logger: silentLogger,
      intervalMs: 20,
      observer: {
        trimmed: (_log, what) => {
          seen.push(`${name} ${what}`);
          wake();
        },
      },
    });
    await trimmer.start();
    const stop = async (): Promise<void> => {
      await trimmer.stop();
      await leases.stop();
      await pulse.end();
    };
    onTestFinished(stop);
    return { trimmer, stop };
  };
  const one = await process('one');
  const two = await process('two');
  await world.write(0, 1);
  await until(() => seen.some((what) => what.endsWith('dropped')));
  const first = seen[0]?.startsWith('one') ? one : two;
  const other = first === one ? two : one;
  expect(new Set(seen.map((what) => what.split(' ')[0])).size).toBe(1);
  expect(first.trimmer.logs.map(({ log }) => log)).toEqual([BOARD_LOG]);
  expect(other.trimmer.logs).toEqual([]);
  await first.stop();
  expect(first.trimmer.logs).toEqual([]);
  const before = seen.length;
  await world.write(0, 1);
  await until(() => seen.slice(before).some((what) => what.endsWith('dropped')));
  expect(new Set(seen.slice(before).map((what) => what.split(' ')[0])).size).toBe(1);
  expect(other.trimmer.logs.map(({ log }) => log)).toEqual([BOARD_LOG]);
  expect((await world.heads())[0]).toEqual([2, 2]);
});

it('trims without end beside writers, readers, snapshots and looks at heads, and none of them fails or misses an entry', async () => {
  const seed = randomInt(2 ** 31);
  const random = randomFrom(seed);
  const world = await fresh();
  const { db } = world;
  const ROUNDS = 60;
  // A deadlock would be begun again in silence: here it fails.
  const transaction = db.transaction.bind(db);
  db.transaction = (work, options) => transaction(work, { ...options, retries: 0 });
  let writing = true;
  let dropped = 0;
  let drops: (() => void)[] = [];
  const nextDrop = (): Promise<void> => new Promise((resolve) => drops.push(resolve));
  const told = (): void => {
    for (const one of drops) one();
    drops = [];
  };
  let trimmed = 0;

  const writer = async (): Promise<void> => {
    for (let n = 0; n < ROUNDS || dropped < 5 || trimmed === 0; n++) {
      if (n % 3 > 0) await world.write(random(SHARDS), 1 + random(20));
      // Several shards in one batch, in the order of all.
      else
        await db.transaction(async (tx) => {
          await tx.query(`SELECT FROM tidemark.shards WHERE log = $1 ORDER BY shard FOR NO KEY UPDATE`, [
            BOARD_LOG,
          ]);
          await tx.query(
            `INSERT INTO tidemark.changes (log, shard, seq, slot, key, recorded_at)
             SELECT s.log, s.shard, 1 + greatest(s.low, coalesce((SELECT max(c.seq) FROM tidemark.changes c WHERE c.log = s.log AND c.shard = s.shard), 0)), s.slot, 'k', now()
             FROM tidemark.shards s WHERE s.log = $1`,
            [BOARD_LOG],
          );
        });
    }
  };
  const trimmer = async (): Promise<void> => {
    while (writing) {
      const found = (await readSlots(db)).find(({ log }) => log === BOARD_LOG);
      if (!found) throw new Error('no log');
      await openNext(db, found);
      for (const { slot } of found.slots.slice(0, random(3))) {
        const done = await dropSlot(db, BOARD_LOG, slot, 200).catch((error: unknown) => {
          if (isTimeout(error)) return false;
          throw error;
        });
        if (!done) continue;
        dropped++;
        told();
      }
    }
  };
  const follow = async (shard: number): Promise<number> => {
    let position = 0;
    for (;;) {
      const last = !writing;
      if (!last && random(10) === 0) await nextDrop();
      const page = await readChanges(db, BOARD_LOG, shard, position, 1 + random(40));
      if (page.kind === 'trimmed') {
        expect(page.low).toBeGreaterThan(position);
        position = page.low;
        trimmed++;
        continue;
      }
      expect(page.entries.map(({ seq }) => seq)).toEqual(page.entries.map((_, n) => position + n + 1));
      position += page.entries.length;
      if (last && page.entries.length === 0) return position;
    }
  };
  const heads = async (): Promise<void> => {
    let before: readonly number[] = [];
    while (writing) {
      const [found, { pos }] = await Promise.all([
        readHeads(db, { events: [], changes: [BOARD_LOG] }),
        readSnapshot(db, Board, {}, 10),
      ]);
      const now = found.toSorted((a, b) => a.shard - b.shard).map(({ head }) => head);
      now.forEach((head, shard) => expect(head).toBeGreaterThanOrEqual(before[shard] ?? 0));
      pos.forEach(([shard, head]) => expect(head).toBeGreaterThanOrEqual(before[shard] ?? 0));
      before = now;
    }
  };
  try {
    const watching = [trimmer(), heads(), ...Array.from({ length: SHARDS }, (_, shard) => follow(shard))];
    await Promise.all([writer(), writer(), writer()]).finally(() => {
      writing = false;
      told();
    });
    const [, , ...positions] = await Promise.all(watching);
    const now = await world.heads();
    expect(positions).toEqual(now.map(([head]) => head));
    expect(dropped).toBeGreaterThan(3);
    expect(trimmed).toBeGreaterThan(0);
  } catch (error) {
    throw new Error(`seed ${seed}`, { cause: error });
  }
});
