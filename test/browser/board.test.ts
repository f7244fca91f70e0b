/** The board in a real browser: orders are placed and move, here and on a second page; cut off, it catches up. */
import { expect, test } from 'vitest';
import { card, column, useBoard } from './support/board.js';
import { describeBrowser } from './support/chromium.js';

describeBrowser('the board', () => {
  const board = useBoard();

  test('an order is placed, and goes its way', async () => {
    const { page, complaints } = await board.open();
    await page.getByText('No orders yet. Place the first one.').waitFor();
    await page.getByLabel('Customer').fill('chidi');
    await page.getByLabel('Teapot').fill('1');

    await page.getByRole('button', { name: /^Place the order/ }).click();
    const placed = column(page, 'Placed').locator('[data-order]');
    await placed.getByText('chidi').waitFor();
    await page.screenshot({ path: '/tmp/tm-h6/b.png', fullPage: true });
    expect(complaints).toEqual([]);
  });
});
