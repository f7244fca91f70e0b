/** Parts and rows that were parked come back: the rows that name them with them, while projectors run. */
import { defineApp, projection } from 'tidemark';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { z } from 'zod';
import { Booking } from '../../../../examples/joins/booking.js';
import { Customer } from '../../../../examples/joins/customer.js';
import { Order } from '../../../../examples/joins/order.js';
import { replayAllParked, replayParked, skipParked } from '../../../../src/projections/parked/operations.js';
import { readSnapshot } from '../../../../src/projections/snapshot.js';
import { freshDatabase, type FreshDatabase } from '../../../support/postgres.js';
import { append, startProjecting, type ProjectingProcess } from '../../../support/projecting.js';
import { randomFrom } from '../../../support/random.js';
import { readModelFaults } from '../../../support/read-model-check.js';
import { TheatreSeason } from '../../../support/theatre.js';

/** Names, seats and gifts on which folds throw, until a test mends them. */
const bad = new Set<string>();
function check(text: string | null): void {
  if (text !== null && bad.has(text)) throw new Error(`cannot take ${text}`);
}

const naming = {
  CustomerRegistered: (_part: unknown, { data }: { data: { name: string } }) => {
    check(data.name);
    return { name: data.name };
  },
  CustomerRenamed: (_part: unknown, { data }: { data: { name: string } }) => {
    check(data.name);
    return { name: data.name };
  },
  CustomerLeft: () => null,
};
const parking = { attempts: 1, maxKeys: 1_000 } as const;

const Gifts = projection('gifts', {
  version: 1,
  row: z.object({ orderId: z.string(), giftFor: z.string().nullable(), name: z.string().nullable() }),
  key: 'orderId',
  channels: ['name'],
  parking,
})
  .join(Customer, { by: 'giftFor', none: { name: null }, fold: naming })
  .on(Order, {
    fold: {
      OrderPlaced: (_row, { data }) => ({ giftFor: data.giftFor }),
      GiftRedirected: (row, { data }) => {
        check(data.giftFor);
        return row && { ...row, giftFor: data.giftFor };
      },
    },
  });
const Places = projection('places', {
  version: 1,
  row: z.object({ seat: z.string(), by: z.string(), who: z.string(), name: z.string().nullable() }),
  key: 'seat',
  channels: ['who'],
  parking,
})
  .join(Customer, { by: 'who', none: { name: null }, fold: naming })
  .moving(Booking, {
    fold: {
      SeatBooked: (_row, { data, streamId }) => ({ seat: data.seat, by: streamId, who: data.customerId }),
      SeatChanged: (row, { data }) => {
        check(data.seat);
        return row && { ...row, seat: data.seat };
      },
      BookingCancelled: () => null,
    },
  });
const app = defineApp({
  auth: 'none',
  name: 'fragile',
  aggregates: [Customer, Order, Booking],
  projections: [Gifts, Places],
  shards: 4,
});

let pg: FreshDatabase;
let one: ProjectingProcess;
beforeEach(async () => {
  bad.clear();
  pg = await freshDatabase();
  one = await startProjecting(pg.url, app, { beatMs: 50, tuning: { maxBatch: 20 } });
});
afterEach(async () => {
  await one.stop();
  await pg.drop();
});

async function rowsOf(of: typeof Gifts | typeof Places): Promise<unknown[]> {
  const { rows } = await readSnapshot(one.db, of, {}, 1_000);
  return rows.map(([, , row]) => JSON.parse(row) as unknown);
}
async function faults(): Promise<string[]> {
  const found: string[] = [];
  for (const of of [Gifts, Places]) found.push(...(await readModelFaults(one.db, one.store, of, app.shards)));
  return found;
}
const parked = () =>
  one.db.query<[string, string, string, number]>(
    'SELECT projection, part, key, queued FROM tidemark.parked ORDER BY projection, part, key',
  );

const registered = (name: string) => ({ type: 'CustomerRegistered', data: { name } });
const renamed = (name: string) => ({ type: 'CustomerRenamed', data: { name } });
const placed = (giftFor: string | null) => ({
  type: 'OrderPlaced',
  data: { customerId: 'c', giftFor, items: [{ sku: 'tea', quantity: 1 }] },
});
const redirected = (giftFor: string | null) => ({ type: 'GiftRedirected', data: { giftFor } });
const booked = (seat: string) => ({ type: 'SeatBooked', data: { customerId: 'ann', seat } });
const changed = (seat: string) => ({ type: 'SeatChanged', data: { seat } });

test('a part comes back, and the rows that name it have what it says now', async () => {
  bad.add('Anna');
  await append(one.store, 'order', 'o-1', [placed('ann')]);
  await append(one.store, 'customer', 'ann', [registered('Ann'), renamed('Anna'), renamed('Anne')]);
  await one.caughtUp();
  await append(one.store, 'order', 'o-2', [placed('ann')]);
  await append(one.store, 'booking', 'b-1', [booked('A1')]);
  await one.caughtUp();
  expect(await parked()).toEqual([
    ['gifts', 'customer', 'ann', 2],
    ['places', 'customer', 'ann', 2],
  ]);
  expect(await rowsOf(Gifts)).toMatchObject([{ name: 'Ann' }, { name: 'Ann' }]);
  const cell = { part: 'customer', key: 'ann' };
  expect(await replayParked({ db: one.db, projection: Gifts }, cell)).toMatchObject({
    events: 0,
    waiting: 2,
    fault: { type: 'CustomerRenamed' },
  });
  // Left out there, mended here.
  expect(await skipParked({ db: one.db, projection: Gifts }, cell, 'a slip')).toMatchObject({
    events: 1,
    waiting: 0,
  });
  bad.clear();
  expect(await replayParked({ db: one.db, projection: Places }, cell)).toMatchObject({
    events: 2,
    waiting: 0,
  });
  expect(await rowsOf(Gifts)).toMatchObject([{ name: 'Anne' }, { name: 'Anne' }]);
  expect(await rowsOf(Places)).toMatchObject([{ name: 'Anne' }]);
  expect(await faults()).toEqual([]);
  await append(one.store, 'customer', 'ann', [renamed('Annie')]);
  await one.caughtUp();
  expect(await rowsOf(Gifts)).toMatchObject([{ name: 'Annie' }, { name: 'Annie' }]);
  expect(await faults()).toEqual([]);
});

test('a row comes back with what its part says now, and names another', async () => {
  bad.add('bob');
  await append(one.store, 'customer', 'ann', [registered('Ann')]);
  await append(one.store, 'customer', 'bob', [registered('Bob')]);
  // What the row says while it stands still is what was known when its key was parked.
  await one.caughtUp();
  await append(one.store, 'order', 'o-1', [placed('ann'), redirected('bob'), redirected('ann')]);
  await one.caughtUp();
  await append(one.store, 'customer', 'ann', [renamed('Anna')]);
  await one.caughtUp();
  expect(await rowsOf(Gifts)).toMatchObject([{ giftFor: 'ann', name: 'Ann' }]);
  const cell = { part: '', key: 'o-1' };
  expect(await skipParked({ db: one.db, projection: Gifts }, cell, 'a slip')).toMatchObject({ waiting: 0 });
  expect(await rowsOf(Gifts)).toMatchObject([{ giftFor: 'ann', name: 'Anna' }]);
  await append(one.store, 'order', 'o-1', [redirected('bob')]);
  await one.caughtUp();
  bad.clear();
  expect(await replayParked({ db: one.db, projection: Gifts }, cell)).toMatchObject({ waiting: 0 });
  expect(await rowsOf(Gifts)).toMatchObject([{ giftFor: 'bob', name: 'Bob' }]);
});

test('a row that was to move stands where it was until it comes back, and moves then', async () => {
  bad.add('B2');
  await append(one.store, 'booking', 'b-1', [booked('A1'), changed('B2'), changed('C3')]);
  await one.caughtUp();
  await append(one.store, 'booking', 'b-2', [booked('C3')]);
  await one.caughtUp();
  expect(await parked()).toEqual([['places', 'booking', 'b-1', 2]]);
  expect(await rowsOf(Places)).toMatchObject([
    { seat: 'A1', by: 'b-1' },
    { seat: 'C3', by: 'b-2' },
  ]);
  bad.clear();
  const outcome = await replayParked({ db: one.db, projection: Places }, { part: 'booking', key: 'b-1' });
  expect(outcome).toMatchObject({ events: 2, waiting: 0 });
  // Whoever came there last, by the events' time, is shown.
  expect(await rowsOf(Places)).toMatchObject([{ seat: 'C3', by: 'b-2' }]);
  await append(one.store, 'booking', 'b-2', [{ type: 'BookingCancelled', data: {} }]);
  await one.caughtUp();
  expect(await rowsOf(Places)).toMatchObject([{ seat: 'C3', by: 'b-1' }]);
  expect(await faults()).toEqual([]);
});

test('keys that are parked and come back in the middle of a season leave the rows as they should be', async () => {
  const seed = Math.floor(Math.random() * 2 ** 32);
  const below = randomFrom(seed);
  const season = new TheatreSeason(one.store, below);
  const outcomes: number[] = [];
  for (let round = 0; round < 4; round++) {
    bad
      .add(`name ${round}`)
      .add(`seat-${below(6)}`)
      .add(`c-${below(8)}`);
    for (let n = 0; n < 15; n++) await season.act();
    await one.caughtUp();
    bad.clear();
    const acting = (async () => {
      for (let n = 0; n < 15; n++) await season.act();
    })();
    for (const of of [Gifts, Places]) {
      for await (const { events } of replayAllParked({ db: one.db, projection: of })) outcomes.push(events);
    }
    await acting;
  }
  await one.caughtUp();
  expect({ seed, faults: await faults(), parked: await parked() }).toEqual({ seed, faults: [], parked: [] });
  expect(outcomes.length).toBeGreaterThan(2);
});
