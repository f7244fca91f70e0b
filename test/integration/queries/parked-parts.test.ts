/** Rows that show what a parked stream says are marked too: they are no fold of all events either. */
import { defineApp, projection } from 'tidemark';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import { Booking } from '../../../examples/joins/booking.js';
import { Customer } from '../../../examples/joins/customer.js';
import { Signer } from '../../../src/platform/signing.js';
import { replayParked } from '../../../src/projections/parked/operations.js';
import { parseListRequest } from '../../../src/queries/list-request.js';
import { parametersOf } from '../../../src/queries/parameters.js';
import { Views } from '../../../src/queries/views.js';
import { parked } from '../../support/parked.js';
import { freshDatabase, type FreshDatabase } from '../../support/postgres.js';
import { append, startProjecting, type ProjectingProcess } from '../../support/projecting.js';

const bad = new Set(['eve']);
const check = (text: string): string => {
  if (bad.has(text)) throw new Error(`cannot take ${text}`);
  return text;
};

const Seats = projection('seats', {
  version: 1,
  row: z.object({ seat: z.string(), customerId: z.string(), name: z.string().nullable() }),
  key: 'seat',
})
  .join(Customer, {
    by: 'customerId',
    none: { name: null },
    fold: {
      CustomerRegistered: (_part, { data }) => ({ name: data.name }),
      CustomerRenamed: (_part, { data }) => ({ name: check(data.name) }),
    },
  })
  .moving(Booking, {
    fold: {
      SeatBooked: (_row, { data }) => ({ seat: data.seat, customerId: data.customerId }),
      SeatChanged: (row, { data }) => row && { ...row, seat: check(data.seat) },
    },
  });
const app = defineApp({
  auth: 'none',
  name: 'seats',
  aggregates: [Booking, Customer],
  projections: [Seats],
  shards: 4,
});

let pg: FreshDatabase;
let one: ProjectingProcess;
let views: Views;
beforeAll(async () => {
  pg = await freshDatabase();
  one = await startProjecting(pg.url, app, { beatMs: 50 });
  views = new Views({ app, db: one.db, signer: new Signer(Buffer.alloc(32, 1)) });
  for (const id of ['c-1', 'c-2']) {
    await append(one.store, 'customer', id, [{ type: 'CustomerRegistered', data: { name: id } }]);
    const seats = [`${id}-a`, `${id}-b`];
    for (const seat of seats)
      await append(one.store, 'booking', `b-${seat}`, [
        { type: 'SeatBooked', data: { customerId: id, seat } },
      ]);
  }
  await one.caughtUp();
});
afterAll(async () => {
  await one.stop();
  await pg.drop();
});

async function marked(): Promise<string[]> {
  const keys = ['c-1-a', 'c-1-b', 'c-2-a', 'c-2-b'];
  const rows = await Promise.all(keys.map((key) => views.row(Seats, key, true)));
  return keys.filter((_key, n) => rows[n]?.parked);
}
const pageIsMarked = async (seat: string) =>
  (await views.list(Seats, parseListRequest(Seats, parametersOf({ seat })), true)).parked;

test('rows that name a parked stream, and rows whose own stream is parked', async () => {
  expect(await marked()).toEqual([]);
  await append(one.store, 'customer', 'c-1', [{ type: 'CustomerRenamed', data: { name: 'eve' } }]);
  await one.caughtUp();
  expect(await marked()).toEqual(['c-1-a', 'c-1-b']);
  expect(await pageIsMarked('c-1-a')).toBe(true);
  expect(await pageIsMarked('c-2-a')).toBe(false);
  await append(one.store, 'booking', 'b-c-2-b', [{ type: 'SeatChanged', data: { seat: 'eve' } }]);
  await one.caughtUp();
  expect((await parked(one)).map(([, key]) => key)).toEqual(['b-c-2-b', 'c-1']);
  expect(await marked()).toEqual(['c-1-a', 'c-1-b', 'c-2-b']);
  bad.clear();
  await replayParked({ db: one.db, projection: Seats }, { part: 'booking', key: 'b-c-2-b' });
  await replayParked({ db: one.db, projection: Seats }, { part: 'customer', key: 'c-1' });
  expect(await marked()).toEqual([]);
  expect(JSON.parse((await views.row(Seats, 'c-1-a', true)).row?.json ?? '{}')).toMatchObject({
    name: 'eve',
  });
  expect((await views.row(Seats, 'eve', true)).row).toBeDefined();
});
