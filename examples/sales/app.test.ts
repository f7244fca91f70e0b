/** The till as a whole: the handler on a real Postgres, from commands and from events. */
import { testApp, type TestApp } from 'tidemark/testing';
import { afterAll, beforeAll, expect, test } from 'vitest';
import sales from './app.js';
import { Receipt } from './receipt.js';
import { salesOfSku } from './sales-of-sku.js';

let app: TestApp;
beforeAll(async () => {
  app = await testApp(sales);
});
afterAll(() => app.close());

const line = (sku: string, quantity: number, unitPriceCents: number) => ({ sku, quantity, unitPriceCents });
const all = { from: '2000-01-01', to: '9999-12-31' };

test('what was sold and what came back, in the figures of the day', async () => {
  await app.execute(Receipt, 'r-1', 'ring', { lines: [line('tea', 2, 450), line('cup', 1, 900)] });
  await app.execute(Receipt, 'r-2', 'ring', { lines: [line('tea', 1, 450)] });
  await app.execute(Receipt, 'r-1', 'takeBack', { sku: 'tea', quantity: 1 });
  const tea = await app.query(salesOfSku, { sku: 'tea', ...all });
  expect(tea.returnedCents).toBe(450);
  expect(tea.days.reduce((sum, { cents }) => sum + cents, 0)).toBe(900);
  expect(tea.days.reduce((sum, { quantity }) => sum + quantity, 0)).toBe(2);
  expect(await app.query(salesOfSku, { sku: 'nothing', ...all })).toEqual({ days: [], returnedCents: 0 });
});

test('the handler with events that a test gives it, many in one batch', async () => {
  for (let n = 0; n < 50; n++) {
    await app.append(Receipt, `many-${n}`, [
      { type: 'ReceiptRung', data: { lines: [line('pen', 3, 100), line('ink', 1, 700)] } },
      { type: 'LineReturned', data: { sku: 'pen', quantity: 1, cents: 100 } },
    ]);
  }
  const pens = await app.query(salesOfSku, { sku: 'pen', ...all });
  expect(pens.days.reduce((sum, { quantity }) => sum + quantity, 0)).toBe(100);
  expect(pens.returnedCents).toBe(5_000);
  const inks = await app.query(salesOfSku, { sku: 'ink', ...all });
  expect(inks.days.every(({ rank }) => rank === 1)).toBe(true);
});

test('an event that breaks its schema is refused before it is there', async () => {
  const broken = { type: 'ReceiptRung', data: { lines: [{ sku: 'tea' }] } } as never;
  await expect(app.append(Receipt, 'broken', [broken])).rejects.toThrow(
    'event receipt.ReceiptRung does not fit its schema',
  );
  expect(await app.stream(Receipt, 'broken')).toBeNull();
});

test('a receipt is rung once, and nobody brings back more than was sold', async () => {
  await app.execute(Receipt, 'r-3', 'ring', { lines: [line('cup', 1, 900)] });
  const again = app.execute(Receipt, 'r-3', 'ring', { lines: [line('cup', 1, 900)] });
  await expect(again).rejects.toMatchObject({ code: 'receipt_exists' });
  const twice = app.execute(Receipt, 'r-3', 'takeBack', { sku: 'cup', quantity: 2 });
  await expect(twice).rejects.toMatchObject({ code: 'more_than_sold' });
});
