/** Replays while projectors are at work, whoever comes first; and those who know nothing of a key that is parked. */
import { afterEach, beforeEach, describe, expect, it, onTestFailed } from 'vitest';
import { silentLogger } from '../../../src/platform/logger.js';
import { Database } from '../../../src/platform/postgres/database.js';
import { replayAllParked, replayParked, skipParked } from '../../../src/projections/parked/operations.js';
import { NO_ROW } from '../../../src/projections/rows.js';
import { readSnapshot } from '../../../src/projections/snapshot.js';
import { writeBatch, type Change } from '../../../src/projections/write.js';
import { idsOf, SHARDS } from '../../support/bank.js';
import { mendable } from '../../support/mendable.js';
import { moved, opened, paid, parked, queueOf } from '../../support/parked.js';
import { freshDatabase, type FreshDatabase } from '../../support/postgres.js';
import { append, startProjecting, type ProjectingProcess } from '../../support/projecting.js';
import { randomFrom } from '../../support/random.js';
import { readModelFaults } from '../../support/read-model-check.js';

let pg: FreshDatabase;
let ends: (() => Promise<void>)[] = [];

async function start(
  ...[app, options]: [Parameters<typeof startProjecting>[1], object?]
): Promise<ProjectingProcess> {
  const process = await startProjecting(pg.url, app, { beatMs: 50, ...options });
  ends.push(() => process.stop());
  return process;
}

beforeEach(async () => {
  pg = await freshDatabase();
  ends = [];
});
afterEach(async () => {
  await Promise.all(ends.map((end) => end()));
  await pg.drop();
});

describe('replays and projectors at once', () => {
  it('leave rows and changes that are a fold of the events, in whatever order they come', async () => {
    const seed = Math.floor(Math.random() * 2 ** 31);
    onTestFailed(() => console.error(`seed ${seed}`));
    const random = randomFrom(seed);
    const bad = new Set<number>();
    const { app, Purses, Folk } = mendable(bad, { attempts: 1, maxKeys: 1_000 });
    const one = await start(app, { tuning: { maxBatch: 20 } });
    const two = await start(app, { tuning: { maxBatch: 20 } });
    const names = ['ann', 'bob', 'eve'];
    const some = (): string => names[random(names.length)] ?? '';
    const next = () => {
      const cents = random(8) === 0 ? 666 : random(100);
      return random(3) === 0 ? moved(cents, some(), some()) : paid(cents, some());
    };
    // There is something to replay, however slowly the operators come.
    bad.add(666);
    await append(one.store, 'account', 'parked', [opened(), paid(666, 'ann')]);
    await one.caughtUp();
    expect(await parked(one)).not.toEqual([]);
    const writers = { left: 3 };
    const write = async (writer: number): Promise<void> => {
      for (let n = 0; n < 100; n++) {
        const events = Array.from({ length: 1 + random(4) }, next);
        await append(one.store, 'account', `w${writer}-${random(4)}`, n < 8 ? [opened(), ...events] : events);
      }
      writers.left--;
    };
    let outcomes = 0;
    const replay = async ({ db }: ProjectingProcess): Promise<void> => {
      while (writers.left > 0) {
        if (random(2) === 0) bad.delete(666);
        else bad.add(666);
        for (const projection of [Purses, Folk]) {
          for await (const { events } of replayAllParked({ db, projection })) outcomes += Number(events > 0);
        }
        await new Promise(setImmediate);
      }
    };
    await Promise.all([write(0), write(1), write(2), replay(one), replay(two)]);
    bad.clear();
    await one.caughtUp();
    for (const projection of [Purses, Folk]) {
      for await (const { waiting, events } of replayAllParked({ db: one.db, projection })) {
        outcomes += Number(events > 0);
        expect(waiting).toBe(0);
      }
    }
    expect(await parked(one)).toEqual([]);
    expect(await one.db.query('SELECT FROM tidemark.parked_events')).toEqual([]);
    expect(outcomes).toBeGreaterThan(0);
    for (const projection of [Purses, Folk])
      expect(await readModelFaults(one.db, one.store, projection, SHARDS)).toEqual([]);
  });
});

describe('a key whose queue grows while it is replayed', () => {
  /** Before each write of the replay, one more event waits behind its key. */
  class Hot extends Database {
    more: () => Promise<void> = () => Promise.resolve();
    writes = 0;

    override async query<R extends readonly unknown[]>(
      text: string,
      values: readonly unknown[] = [],
      name?: string,
    ): Promise<R[]> {
      if (name?.startsWith('_apply')) {
        this.writes++;
        await this.more();
      }
      return super.query<R>(text, values, name);
    }
  }

  it('comes back all the same: what is left is folded under its lock', async () => {
    const bad = new Set([666]);
    const { app, Purses } = mendable(bad);
    const one = await start(app);
    const [a = ''] = idsOf(1);
    await append(one.store, 'account', a, [opened(), paid(666), paid(1)]);
    await one.caughtUp();
    bad.clear();
    const db = new Hot({ connectionString: pg.url, schema: 'tidemark', role: 'hot', logger: silentLogger });
    ends.push(() => db.end());
    db.more = async () => {
      const before = (await queueOf(one, a)).length;
      await append(one.store, 'account', a, [paid(2)]);
      await expect.poll(async () => (await queueOf(one, a)).length).toBe(before + 1);
    };
    const outcome = await replayParked({ db, projection: Purses }, { part: '', key: a });
    expect(outcome).toMatchObject({ waiting: 0 });
    expect(outcome.events).toBe(2 + db.writes);
    await append(one.store, 'account', a, [paid(3)]);
    await one.caughtUp();
    expect(await readModelFaults(one.db, one.store, Purses, SHARDS)).toEqual([]);
  });
});

describe('a skip', () => {
  /** Calls of the function that writes have something done before them. */
  class Guarded extends Database {
    before: () => Promise<void> = () => Promise.resolve();

    override async query<R extends readonly unknown[]>(
      text: string,
      values: readonly unknown[] = [],
      name?: string,
    ): Promise<R[]> {
      if (name?.startsWith('_apply')) await this.before();
      return super.query<R>(text, values, name);
    }
  }
  const guarded = (): Guarded => {
    const db = new Guarded({
      connectionString: pg.url,
      schema: 'tidemark',
      role: 'guarded',
      logger: silentLogger,
    });
    ends.push(() => db.end());
    return db;
  };
  const skipped = ({ db }: ProjectingProcess) =>
    db.query('SELECT seq FROM tidemark.parked_events WHERE skipped_at IS NOT NULL ORDER BY seq');

  it('is of the event that was at fault then: what another operator leaves at fault is not skipped', async () => {
    const bad = new Set([666, 13]);
    const { app, Purses } = mendable(bad);
    const one = await start(app);
    const [a = ''] = idsOf(1);
    await append(one.store, 'account', a, [opened(), paid(666), paid(1), paid(13), paid(2)]);
    await one.caughtUp();
    const db = guarded();
    const cell = { part: '', key: a };
    db.before = async () => {
      db.before = () => Promise.resolve();
      expect(await skipParked({ db: one.db, projection: Purses }, cell, 'the first')).toMatchObject({
        fault: { seq: 4 },
      });
    };
    await expect(skipParked({ db, projection: Purses }, cell, 'the second')).rejects.toMatchObject({
      code: 'wrong_state',
    });
    expect(await skipped(one)).toEqual([[2]]);
    bad.clear();
    expect(await replayParked({ db, projection: Purses }, cell)).toMatchObject({ events: 2, waiting: 0 });
  });

  it('is not of an event that nobody has tried, as after a replay that was cut off', async () => {
    const bad = new Set([666]);
    const { app, Purses } = mendable(bad);
    const one = await start(app);
    const [a = ''] = idsOf(1);
    await append(one.store, 'account', a, [
      opened(),
      paid(666),
      ...Array.from({ length: 700 }, () => paid(1)),
    ]);
    await one.caughtUp();
    bad.clear();
    const db = guarded();
    let writes = 0;
    db.before = async () => {
      if (++writes === 2) throw new Error('cut off');
    };
    const cell = { part: '', key: a };
    await expect(replayParked({ db, projection: Purses }, cell)).rejects.toThrow('cut off');
    expect(await queueOf(one, a)).toHaveLength(201);
    await expect(skipParked({ db, projection: Purses }, cell, 'in haste')).rejects.toMatchObject({
      code: 'wrong_state',
    });
    expect(await skipped(one)).toEqual([]);
    expect(await replayParked({ db, projection: Purses }, cell)).toMatchObject({ events: 201, waiting: 0 });
    expect(await readModelFaults(one.db, one.store, Purses, SHARDS)).toEqual([]);
  });
});

describe('a worker that does not know', () => {
  const cents = (n: number) => ({ id: '', cents: n, log: [] });

  it('that a key is parked cannot write it', async () => {
    const { app, Purses } = mendable(new Set([666]));
    const one = await start(app);
    const [a = '', b = ''] = idsOf(1);
    await append(one.store, 'account', a, [opened(), paid(666)]);
    await one.caughtUp();
    await one.stop();
    const db = new Database({
      connectionString: pg.url,
      schema: 'tidemark',
      role: 'zombie',
      logger: silentLogger,
    });
    ends.push(() => db.end());
    const { epoch, rows } = await readSnapshot(db, Purses, { key: a }, 1);
    const [[, rev] = [a, 0]] = rows;
    const fence = { epoch, lease: undefined };
    const progress = [{ source: 'account', shard: 1, from: 2, til: 3 }];
    const change = (key: string, before: Change['before']): Change => {
      const row = { ...cents(5), id: key };
      return { key, before, after: { row, json: JSON.stringify(row) } };
    };
    const known = { rev, row: { ...cents(0), id: a }, json: JSON.stringify({ ...cents(0), id: a }) };
    const write = (changes: Change[], parking?: string) =>
      writeBatch(db, Purses, fence, progress, changes, SHARDS, { parking });
    await expect(write([change(a, known)])).rejects.toMatchObject({ kind: 'parked' });
    await expect(write([change(a, known), change(b, NO_ROW)])).rejects.toMatchObject({ kind: 'parked' });
    // Nor may one put events behind a key that is parked no more, or park one twice.
    const place = { part: '', source: 'account', shard: 1, seq: 3 };
    const parking = (believed: string[], parks: string[]) =>
      JSON.stringify({
        believed: believed.map((key) => ({ part: '', key })),
        parks: parks.map((key) => ({ ...place, key, stream: key, type: 'Paid', error: 'e', attempts: 1 })),
        events: [...believed, ...parks].map((key) => ({ ...place, key })),
        maxKeys: 10,
        maxEvents: 10,
      });
    await expect(write([], parking([b], []))).rejects.toMatchObject({ kind: 'parked' });
    await expect(write([], parking([], [a]))).rejects.toMatchObject({ kind: 'parked' });
    expect(await parked({ db })).toEqual([['purses', a, 2, 1]]);
    await write([change(b, NO_ROW)], parking([a], []));
    expect(await parked({ db })).toEqual([['purses', a, 2, 2]]);
  });

  it('of a row that is there already, as after a restore of the table alone, gets over it', async () => {
    const { app, Purses } = mendable(new Set());
    const one = await start(app);
    const [a = '', b = ''] = idsOf(1);
    const [c = ''] = idsOf(2);
    for (const id of [a, b, c]) await append(one.store, 'account', id, [opened(), paid(1)]);
    await one.caughtUp();
    await one.stop();
    const db = new Database({
      connectionString: pg.url,
      schema: 'tidemark',
      role: 'restore',
      logger: silentLogger,
    });
    ends.push(() => db.end());
    await db.query('UPDATE tidemark.checkpoints SET seq = 0 WHERE shard = 1');
    const two = await start(app, { tuning: { lanes: 1 } });
    // The lane has other shards to write all the while, which must not make it forget.
    const writing = { stop: false };
    const busy = (async () => {
      while (!writing.stop) await append(two.store, 'account', c, [paid(1)]);
    })();
    await two.caughtUp();
    writing.stop = true;
    await busy;
    const { rows } = await readSnapshot(db, Purses, {}, 10);
    expect(
      rows
        .filter(([key]) => key !== c)
        .map(([key, , row]) => [key, JSON.parse(row).cents])
        .sort(),
    ).toEqual(
      [
        [a, 1],
        [b, 1],
      ].sort(),
    );
  });
});
