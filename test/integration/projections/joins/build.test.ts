/** Rows made of parts, loaded from the first event on: whole streams become parts, and parts become rows. */
import { defineApp, projection } from 'tidemark';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { z } from 'zod';
import { Booking } from '../../../../examples/joins/booking.js';
import { Customer } from '../../../../examples/joins/customer.js';
import { OrderList } from '../../../../examples/joins/order-list.js';
import { Order } from '../../../../examples/joins/order.js';
import { Seats } from '../../../../examples/joins/seats.js';
import { MemoryModel } from '../../../../src/domain/memory-model.js';
import type { AnyProjection } from '../../../../src/domain/projection.js';
import { rowToJson } from '../../../../src/projections/columns.js';
import { replayParked } from '../../../../src/projections/parked/operations.js';
import { isLoadable } from '../../../../src/projections/rebuild/loadable.js';
import { rebuildProjection } from '../../../../src/projections/rebuild/rebuild.js';
import { readSnapshot } from '../../../../src/projections/snapshot.js';
import { build } from '../../../support/building.js';
import { freshDatabase, type FreshDatabase } from '../../../support/postgres.js';
import { append, startProjecting, type ProjectingProcess } from '../../../support/projecting.js';
import { randomFrom } from '../../../support/random.js';
import { TheatreSeason } from '../../../support/theatre.js';

const bad = new Set<string>();
const seen = { numbers: z.array(z.number()), note: z.string().optional() };
/** Columns of all kinds, which come back as they are told: lists, doubles, an absent one. */
const Kinds = projection('kinds', {
  version: 1,
  row: z.object({ orderId: z.string(), customerId: z.string(), ratio: z.number(), ok: z.boolean(), ...seen }),
  key: 'orderId',
})
  .join(Customer, {
    by: 'customerId',
    none: { ratio: 0.1, ok: false, numbers: [], note: undefined },
    fold: {
      CustomerRegistered: (part, { data, version }) => {
        if (bad.has(data.name)) throw new Error(`cannot take ${data.name}`);
        return { ...part, ratio: version / 3, ok: true, numbers: [...part.numbers, 1e21, version] };
      },
      CustomerRenamed: (part, { data }) => ({ ...part, note: `it's "${data.name}"\t\\` }),
      CustomerLeft: () => null,
    },
  })
  .on(Order, { fold: { OrderPlaced: (_row, { data }) => ({ customerId: data.customerId }) } });

const app = defineApp({
  auth: 'none',
  name: 'theatre',
  aggregates: [Customer, Order, Booking],
  projections: [OrderList, Seats, Kinds],
  shards: 4,
});

let pg: FreshDatabase;
let one: ProjectingProcess;
beforeEach(async () => {
  bad.clear();
  pg = await freshDatabase();
  one = await startProjecting(pg.url, app, { idle: true });
});
afterEach(async () => {
  await one.stop();
  await pg.drop();
});

async function rows(of: AnyProjection): Promise<Map<string, string>> {
  const { rows: found } = await readSnapshot(one.db, of, {}, 10_000);
  return new Map(found.map(([key, , row]) => [key, row]));
}

async function folded(of: AnyProjection): Promise<Map<string, string>> {
  const model = new MemoryModel(of);
  for (const { aggregate } of of.sources) {
    for (let shard = 0; shard < app.shards; shard++) {
      const page = await one.store.readShard(aggregate.name, shard, 0, 10_000);
      for (const event of page.kind === 'entries' ? page.entries : []) model.apply(event);
    }
  }
  const made = [...model.rows()].map(([key, row]): [string, string] => [key, rowToJson(of, row)]);
  return new Map(made.sort(([a], [b]) => (a < b ? -1 : 1)));
}

test('a season is loaded as it is folded, whatever is interrupted, and followed from there', async () => {
  const seed = Math.floor(Math.random() * 2 ** 32);
  const season = new TheatreSeason(one.store, randomFrom(seed));
  for (let n = 0; n < 80; n++) await season.act();
  for (const of of app.views) {
    await rebuildProjection(one.db, of);
    // Ends after some shards, and goes on.
    const controller = new AbortController();
    let turns = 0;
    const turn = async (): Promise<void> => {
      if (++turns > 5) controller.abort();
    };
    expect(await build(pg.url, of, { signal: controller.signal, turn })).toEqual({ kind: 'superseded' });
    expect(await build(pg.url, of)).toMatchObject({ kind: 'loaded' });
    expect({ seed, rows: [...(await rows(of))] }).toEqual({ seed, rows: [...(await folded(of))] });
  }
  await one.projections.start();
  for (let n = 0; n < 20; n++) await season.act();
  await one.caughtUp();
  for (const of of app.views) {
    expect({ seed, rows: [...(await rows(of))] }).toEqual({ seed, rows: [...(await folded(of))] });
  }
});

test('a part whose fold throws is parked by the build, and comes back as one that was followed', async () => {
  bad.add('Bob');
  const items = [{ sku: 'tea', quantity: 1 }];
  const placed = (customerId: string) => ({
    type: 'OrderPlaced',
    data: { customerId, giftFor: null, items },
  });
  const registered = (name: string) => ({ type: 'CustomerRegistered', data: { name } });
  await append(one.store, 'order', 'o-1', [placed('ann')]);
  await append(one.store, 'order', 'o-2', [placed('bob')]);
  await append(one.store, 'customer', 'ann', [registered('Ann')]);
  await append(one.store, 'customer', 'bob', [registered('Bill'), registered('Bob'), registered('Bo')]);
  await rebuildProjection(one.db, Kinds);
  expect(await build(pg.url, Kinds)).toMatchObject({ kind: 'loaded' });
  const numbersOf = async (key: string): Promise<unknown> =>
    JSON.parse((await rows(Kinds)).get(key) ?? '{}').numbers;
  expect(await numbersOf('o-1')).toEqual([1e21, 1]);
  expect(await numbersOf('o-2')).toEqual([1e21, 1]);
  bad.clear();
  const outcome = await replayParked({ db: one.db, projection: Kinds }, { part: 'customer', key: 'bob' });
  expect(outcome).toMatchObject({ events: 2, waiting: 0 });
  expect(await numbersOf('o-2')).toEqual([1e21, 1, 1e21, 2, 1e21, 3]);
});

test('what is not of one stream each is not loaded but followed', () => {
  const fold = { CustomerLeft: () => null };
  const row = z.object({ id: z.string(), of: z.string(), name: z.string() });
  const bare = projection('things', { version: 1, row, key: 'id' });
  const joined = bare.join(Customer, { by: 'of', none: { name: '' }, fold });
  expect([OrderList, Seats, Kinds].map(isLoadable)).toEqual([true, true, true]);
  const refused = [
    joined.on(Order, { keys: () => 'a', fold: { OrderPlaced: () => null } }),
    joined.on(Order, { fold: { OrderPlaced: () => null } }).on(Booking, { fold: { SeatBooked: () => null } }),
    joined.on(Customer, { fold }),
  ];
  expect(refused.map(isLoadable)).toEqual([false, false, false]);
  expect(isLoadable(joined.moving(Customer, { fold }))).toBe(true);
});
