/** Two processes' caches over one database: what was decided on a stale state is decided again, never given out. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import orders from '../../../examples/orders/app.js';
import { codeOf, startCommands, type CommandProcess } from '../../support/commands.js';
import { ledgerApp } from '../../support/ledger.js';
import { freshDatabase, type FreshDatabase } from '../../support/postgres.js';

let pg: FreshDatabase;
let one: CommandProcess;
let two: CommandProcess;
const PLACED = { customerId: 'c-1', lines: [{ sku: 's', quantity: 2, unitPriceCents: 5 }] };

beforeAll(async () => {
  pg = await freshDatabase();
  one = await startCommands(pg.url, orders);
  two = await startCommands(pg.url, orders);
});

afterAll(async () => {
  await Promise.all([one?.stop(), two?.stop()]);
  await pg?.drop();
});

const place = (by: CommandProcess, streamId: string) =>
  by.run({ aggregate: 'order', streamId, command: 'place', payload: PLACED });
const pay = (by: CommandProcess, streamId: string) =>
  by.run({ aggregate: 'order', streamId, command: 'pay', payload: { paymentId: 'p' } });
const cancel = (by: CommandProcess, streamId: string) =>
  by.run({ aggregate: 'order', streamId, command: 'cancel', payload: { reason: 'r' } });

describe('a stale cache', () => {
  it('does not give out a rejection that no longer holds', async () => {
    expect(await codeOf(pay(one, 'late'))).toBe('order_not_found');
    await place(two, 'late');
    await expect(pay(one, 'late')).resolves.toMatchObject({
      version: 2,
      events: [{ type: 'OrderPaid', version: 2 }],
    });
    expect(one.finished.at(-1)).toMatchObject({ outcome: 'appended', attempts: 2 });
  });

  it('does not accept what no longer holds', async () => {
    await place(one, 'gone');
    await cancel(two, 'gone');
    const before = one.conflicts();
    expect(await codeOf(cancel(one, 'gone'))).toBe('order_already_cancelled');
    expect(one.conflicts()).toBe(before + 1);
    // Only what was missing was read.
    expect(one.loads.at(-1)).toEqual({ from: 'store', events: 1 });
  });

  it('does not answer a precondition by itself', async () => {
    await place(one, 'conditional');
    await pay(two, 'conditional');
    const ship = {
      aggregate: 'order',
      streamId: 'conditional',
      command: 'ship',
      payload: { carrier: 'c', trackingNumber: 't' },
    };
    expect(await codeOf(one.run({ ...ship, ifMatch: 1 }))).toBe('precondition_failed');
    await cancelled(two);
    expect(await codeOf(one.run({ ...ship, ifMatch: 3 }))).toBe('order_cancelled');
  });

  const cancelled = (by: CommandProcess) => cancel(by, 'conditional');
});

describe('a stream that is guessed to be new', () => {
  it('is not read, and is decided again where the guess was wrong', async () => {
    const app = ledgerApp();
    const setup = await startCommands(pg.url, app);
    const add = (streamId: string, more: object = {}) => ({
      aggregate: 'ledger',
      streamId,
      command: 'add',
      payload: { by: 1 },
      ...more,
    });
    const known = await setup.run(add('g-there', { idempotencyKey: 'k-there' }));
    await setup.run({ ...add('g-there'), command: 'close', payload: {} });
    await setup.stop();

    const by = await startCommands(pg.url, app);
    for (const id of ['g-1', 'g-2', 'g-3']) expect(await by.run(add(id))).toMatchObject({ version: 1 });
    expect(by.loads).toHaveLength(1);
    expect(await by.run(add('g-there', { idempotencyKey: 'k-there' }))).toEqual(known);
    expect(await codeOf(by.run(add('g-there')))).toBe('ledger_closed');
    expect(await codeOf(by.run(add('g-there', { ifMatch: 1 })))).toBe('precondition_failed');
    expect(by.loads.filter(({ from }) => from === 'store')).toHaveLength(2);
    expect(by.conflicts()).toBe(0);
    await by.stop();
  });
});

describe('conflicts', () => {
  it('two processes that write one stream lose and double nothing', async () => {
    const runs = [one, two].flatMap((by) =>
      Array.from({ length: 25 }, (_, n) => codeOf(place(by, `both-${n}`))),
    );
    const codes = await Promise.all(runs);
    expect(codes.filter((code) => code === 'answered')).toHaveLength(25);
    expect(new Set(codes)).toEqual(new Set(['answered', 'order_already_placed']));
  });

  it('are told when they do not end', async () => {
    const app = ledgerApp();
    const other = await startCommands(pg.url, app);
    const hasty = await startCommands(pg.url, app, { bus: { maxAttempts: 1 } });
    const add = { aggregate: 'ledger', streamId: 'l', command: 'add', payload: { by: 1 } };
    await hasty.run(add);
    await other.run(add);
    expect(await codeOf(hasty.run(add))).toBe('stream_conflict');
    await Promise.all([other.stop(), hasty.stop()]);
  });

  it('a stream that both processes add to ends with every one of them', async () => {
    const app = ledgerApp();
    const settings = { bus: { maxAttempts: 200 } };
    const [a, b] = [await startCommands(pg.url, app, settings), await startCommands(pg.url, app, settings)];
    const add = { aggregate: 'ledger', streamId: 'shared', command: 'add', payload: { by: 1 } };
    const answers = await Promise.all([a, b].flatMap((by) => Array.from({ length: 40 }, () => by.run(add))));
    expect(answers.map((answer) => answer.version).sort((x, y) => x - y)).toEqual(
      Array.from({ length: 80 }, (_, n) => n + 1),
    );
    await Promise.all([a.stop(), b.stop()]);
  });
});
