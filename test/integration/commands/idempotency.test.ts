/** Idempotency keys: the stored answer to the same request, whatever happened in between. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import orders from '../../../examples/orders/app.js';
import { codeOf, startCommands, type CommandProcess } from '../../support/commands.js';
import { startFlakyProxy } from '../../support/flaky-proxy.js';
import { ledgerApp } from '../../support/ledger.js';
import { freshDatabase, type FreshDatabase } from '../../support/postgres.js';

let pg: FreshDatabase;
let main: CommandProcess;
const PLACED = { customerId: 'c-1', lines: [{ sku: 's', quantity: 2, unitPriceCents: 5 }] };

beforeAll(async () => {
  pg = await freshDatabase();
  main = await startCommands(pg.url, orders);
});

afterAll(async () => {
  await main?.stop();
  await pg?.drop();
});

const place = (streamId: string, idempotencyKey?: string) => ({
  aggregate: 'order',
  streamId,
  command: 'place',
  payload: PLACED,
  idempotencyKey,
});
const pay = (streamId: string, idempotencyKey?: string) => ({
  aggregate: 'order',
  streamId,
  command: 'pay',
  payload: { paymentId: 'p' },
  idempotencyKey,
});

describe('an idempotency key', () => {
  it('a retry of a queued command is answered as its twin', async () => {
    const answers = await Promise.all([1, 2, 3].map(() => main.run(place('twin', 'k-twin'))));
    expect(answers[0]).toMatchObject({ version: 1 });
    expect(answers[1]).toEqual(answers[0]);
    expect(answers[2]).toEqual(answers[0]);
  });

  it('so is one that went to another process, at the same time or later', async () => {
    const other = await startCommands(pg.url, orders);
    const [here, there] = await Promise.all([
      main.run(place('two', 'k-two')),
      other.run(place('two', 'k-two')),
    ]);
    expect(there).toEqual(here);
    await other.run(pay('two'));
    expect(await main.run(place('two', 'k-two'))).toEqual(here);
    await other.stop();
    expect(await main.store.readStream({ category: 'order', streamId: 'two', limit: 9 })).toHaveLength(2);
  });

  it('belongs to one payload, stream and precondition', async () => {
    await main.run(place('mine', 'k-mine'));
    const reused = { ...place('mine', 'k-mine'), payload: { ...PLACED, customerId: 'c-2' } };
    expect(await codeOf(main.run(reused))).toBe('idempotency_key_reused');
    expect(await codeOf(main.run(place('other', 'k-mine')))).toBe('idempotency_key_reused');
    expect(await codeOf(main.run({ ...place('mine', 'k-mine'), ifNoneMatch: true }))).toBe(
      'idempotency_key_reused',
    );
    // Another actor, another command: another scope.
    expect(await codeOf(main.run({ ...place('mine-2', 'k-mine'), actor: 'someone' }))).toBe('answered');
    expect(await codeOf(main.run(pay('mine', 'k-mine')))).toBe('answered');
    // Another order of the same fields: the same payload.
    const { customerId, lines } = PLACED;
    expect(await codeOf(main.run({ ...place('mine', 'k-mine'), payload: { lines, customerId } }))).toBe(
      'answered',
    );
  });

  it('does not keep a rejection', async () => {
    expect(await codeOf(main.run(pay('later', 'k-later')))).toBe('order_not_found');
    await main.run(place('later'));
    await expect(main.run(pay('later', 'k-later'))).resolves.toMatchObject({ version: 2 });
  });

  it('is answered before a precondition that no longer holds', async () => {
    const created = { ...place('created', 'k-created'), ifNoneMatch: true };
    const first = await main.run(created);
    expect(await main.run(created)).toEqual(first);
    const paid = { ...pay('created', 'k-paid'), ifMatch: 1 };
    const second = await main.run(paid);
    expect(await main.run(paid)).toEqual(second);
    const fresh = await startCommands(pg.url, orders);
    expect(await fresh.run(created)).toEqual(first);
    expect(await fresh.run(paid)).toEqual(second);
    await fresh.stop();
  });

  it('of a command that emitted nothing is kept as well', async () => {
    const ledgers = await startCommands(pg.url, ledgerApp());
    const reach = (sum: number, idempotencyKey?: string) =>
      ledgers.run({ aggregate: 'ledger', streamId: 'l', command: 'reach', payload: { sum }, idempotencyKey });
    const nothing = await reach(0, 'k-0');
    await reach(5);
    expect(await reach(0, 'k-0')).toEqual(nothing);
    expect(nothing).toMatchObject({ version: 0, events: [] });
    await ledgers.stop();
  });
});

describe('preconditions', () => {
  it('hold or fail by the version in Postgres', async () => {
    const at = (what: object) => codeOf(main.run({ ...place('pre'), ...what }));
    expect(await at({ ifMatch: 1 })).toBe('precondition_failed');
    expect(await at({ ifMatch: '*' })).toBe('precondition_failed');
    expect(await at({ ifMatch: 0 })).toBe('answered');
    expect(await at({ ifNoneMatch: true })).toBe('precondition_failed');
    await expect(main.run({ ...pay('pre'), ifMatch: 7 })).rejects.toMatchObject({ extra: { version: 1 } });
    await expect(main.run({ ...pay('pre'), ifMatch: '*' })).resolves.toMatchObject({ version: 2 });
  });
});

describe('a connection that dies during the append', () => {
  it('leaves the outcome unknown, and the retry gets the stored answer', async () => {
    const proxy = await startFlakyProxy(pg.url);
    const cut = await startCommands(proxy.url, orders, { store: { outcomeTimeoutMs: 300 } });
    await cut.run(place('cut'));
    const request = pay('cut', 'k-cut');
    proxy.mode = 'lose-answers';
    expect(await codeOf(cut.run(request))).toBe('outcome_unknown');
    expect(await main.store.readStream({ category: 'order', streamId: 'cut', limit: 9 })).toHaveLength(2);
    proxy.mode = 'pass';
    const answer = await cut.run(request);
    expect(answer).toMatchObject({ version: 2, events: [{ type: 'OrderPaid' }] });
    expect(cut.finished.at(-1)?.outcome).toBe('duplicate');
    expect(await main.run(request)).toEqual(answer);
    await cut.stop();
    await proxy.stop();
  });

  it('is the database’s fault where a stream cannot be read', async () => {
    const proxy = await startFlakyProxy(pg.url);
    const cut = await startCommands(proxy.url, orders);
    proxy.mode = 'lose-answers';
    expect(await codeOf(cut.run(pay('unread')))).toBe('database_unavailable');
    proxy.mode = 'pass';
    expect(await codeOf(cut.run(pay('unread')))).toBe('order_not_found');
    await cut.stop();
    await proxy.stop();
  });
});
