/** Rows made of parts on a real Postgres: joins, rows that move, changes of parts that are in many rows. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import theatre from '../../../../examples/joins/app.js';
import { OrderList } from '../../../../examples/joins/order-list.js';
import { Seats } from '../../../../examples/joins/seats.js';
import { readChanges } from '../../../../src/projections/change-log.js';
import { readSnapshot } from '../../../../src/projections/snapshot.js';
import { freshDatabase, type FreshDatabase } from '../../../support/postgres.js';
import { append, startProjecting, type ProjectingProcess } from '../../../support/projecting.js';
import { randomFrom } from '../../../support/random.js';
import { readModelFaults } from '../../../support/read-model-check.js';
import { TheatreSeason } from '../../../support/theatre.js';

let pg: FreshDatabase;
let running: ProjectingProcess[];

beforeEach(async () => {
  pg = await freshDatabase();
  running = [];
});
afterEach(async () => {
  for (const one of running) await one.stop();
  await pg.drop();
});

async function start(options?: Parameters<typeof startProjecting>[2]): Promise<ProjectingProcess> {
  const one = await startProjecting(pg.url, theatre, options);
  running.push(one);
  return one;
}

const registered = (name: string) => ({ type: 'CustomerRegistered', data: { name } });
const renamed = (name: string) => ({ type: 'CustomerRenamed', data: { name } });
const placed = (customerId: string, giftFor: string | null = null) => ({
  type: 'OrderPlaced',
  data: { customerId, giftFor, items: [{ sku: 'tea', quantity: 1 }] },
});

async function rowsOf(one: ProjectingProcess, projection: typeof OrderList | typeof Seats) {
  const { rows } = await readSnapshot(one.db, projection, {}, 100_000);
  return new Map(rows.map(([key, rev, row]) => [key, { rev, ...(JSON.parse(row) as object) }]));
}
const faultsOf = async (one: ProjectingProcess): Promise<string[]> => {
  const faults: string[] = [];
  for (const projection of theatre.projections)
    faults.push(...(await readModelFaults(one.db, one.store, projection, theatre.shards)));
  return faults;
};

describe('joined columns', () => {
  test('are there whichever stream was first, and change with their stream', async () => {
    const one = await start();
    await append(one.store, 'order', 'o-1', [placed('c-1', 'c-2')]);
    await one.caughtUp();
    expect((await rowsOf(one, OrderList)).get('o-1')).toMatchObject({
      customerName: null,
      giftForName: null,
    });
    await append(one.store, 'customer', 'c-1', [registered('Ada')]);
    await append(one.store, 'customer', 'c-2', [registered('Bob')]);
    await one.caughtUp();
    await append(one.store, 'order', 'o-2', [placed('c-1')]);
    await append(one.store, 'customer', 'c-1', [renamed('Ada L.')]);
    await append(one.store, 'order', 'o-1', [{ type: 'GiftRedirected', data: { giftFor: 'c-1' } }]);
    await one.caughtUp();
    const rows = await rowsOf(one, OrderList);
    expect(rows.get('o-1')).toMatchObject({ customerName: 'Ada L.', giftForName: 'Ada L.' });
    expect(rows.get('o-2')).toMatchObject({ customerName: 'Ada L.', giftForName: null });
    expect(await faultsOf(one)).toEqual([]);
  });
});

test('a name in 1,000 rows is 1,000 changes in the log, which who follows it gets without a hole', async () => {
  const one = await start();
  await append(one.store, 'customer', 'c-1', [registered('Ada')]);
  await Promise.all(
    Array.from({ length: 1_000 }, (_, n) => append(one.store, 'order', `o-${n}`, [placed('c-1')])),
  );
  await one.caughtUp();
  const heads = async (): Promise<ReadonlyMap<number, number>> =>
    new Map((await readSnapshot(one.db, OrderList, { key: 'none' }, 1)).pos);
  const before = await heads();
  await append(one.store, 'customer', 'c-1', [renamed('Ada L.')]);
  await one.caughtUp();
  const keys = new Set<string>();
  for (const [shard, after] of before) {
    const page = await readChanges(one.db, 'order_list.v1', shard, after, 2_000);
    const entries = page.kind === 'entries' ? page.entries : [];
    expect(entries.map(({ seq }) => seq)).toEqual(entries.map((_, n) => after + n + 1));
    for (const { key, row, before: old } of entries) {
      keys.add(key);
      expect([old?.['customerName'], row]).toEqual([
        'Ada',
        expect.stringContaining('"customerName":"Ada L."'),
      ]);
    }
  }
  expect(keys.size).toBe(1_000);
});

describe('a key that moves', () => {
  const booked = (seat: string) => ({ type: 'SeatBooked', data: { customerId: 'c-1', seat } });
  const changed = (seat: string) => ({ type: 'SeatChanged', data: { seat } });

  test('leaves no row behind, and is another’s to take', async () => {
    const one = await start();
    await append(one.store, 'booking', 'b-1', [booked('A1')]);
    await one.caughtUp();
    await append(one.store, 'booking', 'b-1', [changed('B2')]);
    await append(one.store, 'booking', 'b-2', [booked('A1')]);
    await append(one.store, 'booking', 'b-3', [booked('B2')]);
    await one.caughtUp();
    const seats = async () =>
      [...(await rowsOf(one, Seats))].map(([key, row]) => [key, 'bookingId' in row && row.bookingId]);
    expect(await seats()).toEqual([
      ['A1', 'b-2'],
      ['B2', 'b-3'],
    ]);
    await append(one.store, 'booking', 'b-3', [{ type: 'BookingCancelled', data: {} }]);
    await append(one.store, 'booking', 'b-2', [changed('C3')]);
    await one.caughtUp();
    expect(await seats()).toEqual([
      ['B2', 'b-1'],
      ['C3', 'b-2'],
    ]);
    expect(await faultsOf(one)).toEqual([]);
  });
});

test('a season at random, in small batches, by writers that come and go', async () => {
  const seed = Math.floor(Math.random() * 2 ** 32);
  const tuning = { maxBatch: 7 };
  const first = await start({ tuning });
  const season = new TheatreSeason(first.store, randomFrom(seed));
  for (let n = 0; n < 80; n++) await season.act();
  const second = await start({ tuning });
  await first.projections.stop();
  for (let n = 0; n < 80; n++) await season.act();
  await second.caughtUp();
  expect({ seed, faults: await faultsOf(second) }).toEqual({ seed, faults: [] });
});
