/** Verifying rows that are made of parts, and rows that are parked: told apart, and compared with what is in. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import theatre from '../../../examples/joins/app.js';
import type { AnyApp } from '../../../src/domain/app.js';
import { verifyProjection, type VerifyOptions } from '../../../src/projections/verify/verify.js';
import { bank } from '../../support/bank.js';
import { freshDatabase, type FreshDatabase } from '../../support/postgres.js';
import { append, startProjecting, type ProjectingProcess } from '../../support/projecting.js';
import { randomFrom } from '../../support/random.js';
import { TheatreSeason } from '../../support/theatre.js';

let pg: FreshDatabase;
let one: ProjectingProcess;

function withProjector(app: AnyApp): void {
  beforeAll(async () => {
    pg = await freshDatabase();
    one = await startProjecting(pg.url, app, { tuning: { maxBatch: 20 } });
  });
  afterAll(async () => {
    await one.stop();
    await pg.drop();
  });
}

const ALL: VerifyOptions = { all: true };
const run = (sql: string) => one.db.query(sql);

describe('a theatre', () => {
  withProjector(theatre);
  const seed = Date.now() % 1_000_000;
  const verify = (name: string, options = ALL) => verifyProjection(one.db, theatre, name, options);

  it('gives no false alarm at work', async () => {
    const season = new TheatreSeason(one.store, randomFrom(seed));
    let over = false;
    const acting = (async () => {
      while (!over) await season.act();
    })();
    const found: Awaited<ReturnType<typeof verify>>[] = [];
    const hasCompared = () => found.some(({ compared }) => compared > 10);
    for (let round = 0; round < 4 || !hasCompared(); round++) {
      for (const { name } of theatre.views) {
        for (const options of [ALL, { sample: 10 }, { keys: ['o-1', 'o-2', 'A1', 's-3'] }])
          found.push(await verify(name, options));
      }
    }
    over = true;
    await acting;
    const alarms = found.flatMap(({ listed }) => listed);
    expect({ seed, alarms }).toEqual({ seed, alarms: [] });
  });

  it('finds what another stream should have said otherwise', async () => {
    await one.caughtUp();
    const [[key] = ['']] = await one.db.query<[string]>(
      `UPDATE tidemark.order_list__v1 SET "customerName" = 'nobody' WHERE "orderId" = (SELECT min("orderId") FROM tidemark.order_list__v1) RETURNING "orderId"`,
    );
    for (const options of [ALL, { keys: [key] }, { sample: 100 }]) {
      const { totals, listed } = await verify('order_list', options);
      expect(totals).toMatchObject({ wrong: 1, missing: 0, extra: 0 });
      expect(listed).toContainEqual(
        expect.objectContaining({
          key,
          columns: [expect.objectContaining({ column: 'customerName', actual: '"nobody"' })],
        }),
      );
    }
  });

  it('finds a row that stands where it should not', async () => {
    await append(one.store, 'booking', 'b-z', [
      { type: 'SeatBooked', data: { customerId: 'c-1', seat: 'Z9' } },
    ]);
    await one.caughtUp();
    await run(`UPDATE tidemark.seats__v1 SET seat = 'Z8' WHERE seat = 'Z9'`);
    const { totals, listed } = await verify('seats');
    expect(totals).toMatchObject({ wrong: 0, missing: 1, extra: 1 });
    expect(listed).toContainEqual(expect.objectContaining({ kind: 'missing', key: 'Z9' }));
    expect(listed).toContainEqual(expect.objectContaining({ kind: 'extra', key: 'Z8' }));
  });

  it('takes a part that is in its table, and not yet in all rows that name it, as what it is', async () => {
    await append(one.store, 'customer', 'c-new', [{ type: 'CustomerRegistered', data: { name: 'Ada' } }]);
    const gifts = { customerId: 'c-new', giftFor: null, items: [{ sku: 'tea', quantity: 1 }] };
    for (const id of ['n-1', 'n-2'])
      await append(one.store, 'order', id, [{ type: 'OrderPlaced', data: gifts }]);
    await append(one.store, 'customer', 'c-new', [{ type: 'CustomerRenamed', data: { name: 'Eve' } }]);
    await one.caughtUp();
    const keys = ['n-1', 'n-2'];
    expect(await verify('order_list', { keys })).toMatchObject({ differences: 0 });
    // As if its writer had been stopped after the first of its transactions.
    await one.projections.stop();
    const stepBack = `UPDATE tidemark.checkpoints c SET seq = e.seq - 1 FROM tidemark.events e
      WHERE e.stream_id = 'c-new' AND e.version = 2 AND c.projection = 'order_list' AND c.source = 'customer' AND c.shard = e.shard`;
    await run(stepBack);
    await run(`UPDATE tidemark.order_list__v1 SET "customerName" = 'Ada' WHERE "orderId" = 'n-2'`);
    const found = await verify('order_list', { keys });
    expect(found.totals).toMatchObject({ wrong: 0, missing: 0, extra: 0 });
    await run(`UPDATE tidemark.order_list__v1 SET "customerName" = 'Bob' WHERE "orderId" = 'n-2'`);
    expect((await verify('order_list', { keys })).totals).toMatchObject({ wrong: 1 });
  });
});

describe('parked keys', () => {
  withProjector(bank);
  const verify = (name: string, options = ALL) => verifyProjection(one.db, bank, name, options);
  const paid = (cents: number) => ({ type: 'Paid', data: { cents }, tags: { owner: 'ann' } });

  it('are told apart, and compared with a fold of what is in', async () => {
    for (const id of ['a-1', 'a-2']) {
      const events = [
        { type: 'Opened', data: { owner: 'ann' } },
        paid(5),
        paid(id === 'a-1' ? 666 : 6),
        paid(7),
      ];
      await append(one.store, 'account', id, events);
    }
    await one.caughtUp();
    for (const options of [ALL, { keys: ['a-1', 'a-2'] }, { sample: 10 }]) {
      const found = await verify('accounts', options);
      expect(found).toMatchObject({ differences: 0, compared: 2, parked: { total: 1, keys: ['a-1'] } });
    }
    await run(`UPDATE tidemark.accounts__v1 SET cents = 12 WHERE id = 'a-1'`);
    expect(await verify('accounts')).toMatchObject({ totals: { wrong: 1 }, parked: { total: 1 } });
    await run(`UPDATE tidemark.accounts__v1 SET cents = 5 WHERE id = 'a-1'`);
  });
});
