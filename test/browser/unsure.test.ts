/** What the board says where no answer came: that it may have happened, and it is sent again as it was, so that it happens once. */
import type { Page } from 'playwright-core';
import { expect, test } from 'vitest';
import { card, column, useBoard } from './support/board.js';
import { describeBrowser } from './support/chromium.js';

/** From now on commands arrive and their answers do not. @returns the keys that they had; what ends it */
async function losesAnswers(page: Page) {
  const keys: (string | undefined)[] = [];
  await page.route('**/commands/**', async (route) => {
    keys.push(route.request().headers()['idempotency-key']);
    await route.fetch();
    await route.abort('connectionreset');
  });
  return { keys, end: () => page.unroute('**/commands/**') };
}
const UNSURE = /^It may or may not have happened\. The server could not be reached\. \(network_error\)$/;

describeBrowser('an answer that does not come', () => {
  const board = useBoard();

  test('an order and a payment are sent again with the keys that they had, and happen once', async () => {
    const { page } = await board.open();
    await board.place('o-paid', 'kim');
    await card(page, 'o-paid').waitFor();
    // So that the page does not see for itself that it happened.
    await page.getByRole('button', { name: 'Cut the line' }).click();
    await page.locator('.status[data-status="cut"]').waitFor();
    const lost = await losesAnswers(page);
    const form = page.locator('form');
    const order = card(page, 'o-paid');
    await form.getByLabel('Customer', { exact: true }).fill('lou');
    await form.getByRole('button', { name: /^Place the order/ }).click();
    await order.getByRole('button', { name: 'Pay order o-paid' }).click();
    for (const place of [form, order]) await place.getByRole('alert').getByText(UNSURE).waitFor();
    const before = new Set(lost.keys);
    expect(before.size).toBe(2);
    await lost.end();
    const sent: (string | undefined)[] = [];
    page.on('request', (request) => {
      if (request.method() === 'POST') sent.push(request.headers()['idempotency-key']);
    });
    await form.getByRole('button', { name: 'Send again' }).click();
    await form.getByText(/^Order o-\w+ is placed\.$/).waitFor();
    await order.getByRole('button', { name: 'Send again' }).click();
    await order.getByText('Sent; it is shown here once its change arrives.').waitFor();
    expect(new Set(sent)).toEqual(before);
    await page.getByRole('button', { name: 'Mend the line' }).click();
    await column(page, 'Paid').locator('[data-order="o-paid"]').waitFor();
    const placed = column(page, 'Placed').getByText('lou');
    await placed.first().waitFor();
    expect(await placed.count()).toBe(1);
    expect(await page.getByRole('alert').count()).toBe(0);
  });

  test('an order that is seen on the board was placed, whatever became of its answer', async () => {
    const { page } = await board.open();
    await losesAnswers(page);
    const form = page.locator('form');
    await form.getByLabel('Customer', { exact: true }).fill('max');
    await form.getByRole('button', { name: /^Place the order/ }).click();
    await column(page, 'Placed').getByText('max').waitFor();
    await form.getByText(/^Order o-\w+ is placed\.$/).waitFor();
    expect(await page.getByRole('alert').count()).toBe(0);
  });
});
