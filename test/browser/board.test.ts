/** The board in a real browser: orders are placed and move, here and on a second page; cut off, it catches up. */
import { expect, test } from 'vitest';
import { card, column, useBoard } from './support/board.js';
import { describeBrowser } from './support/chromium.js';

describeBrowser('the board', () => {
  const board = useBoard();

  test('an order is placed, goes its way, and ends with the others', async () => {
    const { page, complaints } = await board.open();
    await page.getByText('No orders yet. Place the first one.').waitFor();
    await page.getByLabel('Customer', { exact: true }).fill('chidi');
    await page.getByLabel(/^Green tea/).fill('2');
    await page.getByLabel(/^Cup/).fill('');
    await page.getByLabel(/^Teapot/).fill('1');
    await page.getByRole('button', { name: 'Place the order · €48.00' }).click();
    const placed = column(page, 'Placed').getByRole('listitem');
    expect(await placed.textContent()).toContain('€48.00');
    const orderId = (await placed.getAttribute('data-order')) ?? '';
    await page.getByText(`Order ${orderId} is placed.`).waitFor();
    for (const [move, next] of [
      ['Pay', 'Paid'],
      ['Ship', 'Shipped'],
      ['Deliver', 'Done'],
    ] as const) {
      await card(page, orderId)
        .getByRole('button', { name: `${move} order ${orderId}` })
        .click();
      await column(page, next).locator(`[data-order="${orderId}"]`).waitFor();
    }
    await card(page, orderId).getByText('Delivered', { exact: true }).waitFor();
    expect(await page.getByRole('button', { name: /^chidi/ }).textContent()).toContain('1 order');
    await page.getByRole('log').getByText(`${orderId} of chidi: delivered`).waitFor();
    expect(complaints).toEqual([]);
  });

  test('two pages see what is done on either, and what others do', async () => {
    const [one, two] = [await board.open(), await board.shared()];
    await board.place('o-both', 'dora');
    await card(one.page, 'o-both').waitFor();
    await card(two.page, 'o-both').getByRole('button', { name: 'Pay order o-both' }).click();
    await column(one.page, 'Paid').locator('[data-order="o-both"]').waitFor();
    await card(one.page, 'o-both').getByRole('button', { name: 'Cancel order o-both' }).click();
    await card(two.page, 'o-both').getByText('Cancelled', { exact: true }).waitFor();
    // The total of a customer goes with its orders.
    for (const { page } of [one, two])
      await page.getByRole('button', { name: /^dora/ }).getByText('0 orders').waitFor();
    expect([...one.complaints, ...two.complaints]).toEqual([]);
  });

  test('a customer’s orders alone', async () => {
    await board.place('o-emre', 'emre');
    await board.place('o-fay', 'fay');
    const { page, complaints } = await board.shared();
    const choice = page.getByRole('button', { name: /^emre/ });
    await choice.click();
    await page.getByRole('heading', { name: 'Orders of emre' }).waitFor();
    await card(page, 'o-fay').waitFor({ state: 'detached' });
    await card(page, 'o-emre').waitFor();
    expect(await choice.getAttribute('aria-pressed')).toBe('true');
    await board.place('o-emre-2', 'emre');
    await card(page, 'o-emre-2').waitFor();
    await page.getByRole('button', { name: 'Show everybody’s' }).click();
    await card(page, 'o-fay').waitFor();
    expect(complaints).toEqual([]);
  });

  test('cut off it stands still; what was changed meanwhile is refused by its name; mended it catches up', async () => {
    await board.place('o-cut', 'gil');
    const [{ page, complaints }, witness] = [await board.open(), await board.shared()];
    await card(page, 'o-cut').waitFor();
    await page.getByRole('button', { name: 'Cut the line' }).click();
    await page.locator('.status[data-status="cut"]').waitFor();
    await board.send('o-cut', 'pay', { paymentId: 'p-1' });
    await board.place('o-cut-2', 'gil');
    await column(witness.page, 'Paid').locator('[data-order="o-cut"]').waitFor();
    await card(witness.page, 'o-cut-2').waitFor();
    expect(await card(page, 'o-cut').getAttribute('data-status')).toBe('placed');
    expect(await card(page, 'o-cut-2').count()).toBe(0);

    await page.getByRole('button', { name: 'Pay order o-cut', exact: true }).click();
    await card(page, 'o-cut')
      .getByRole('alert')
      .getByText('It was paid already. (order_already_paid)')
      .waitFor();

    await page.getByRole('button', { name: 'Mend the line' }).click();
    await page.getByText(/^Caught up in \d+ ms: 2 orders had changed\.$/).waitFor();
    await column(page, 'Paid').locator('[data-order="o-cut"]').waitFor();
    await card(page, 'o-cut-2').waitFor();
    expect(await card(page, 'o-cut').getByRole('alert').count()).toBe(0);
    // A command that the server refuses is an answer of 409, which the browser tells the console of by itself.
    expect(complaints.filter((text) => !text.includes('409 (Conflict)'))).toEqual([]);
  });

  test('a form that is not right is not sent, says where, and forgives', async () => {
    const { page, complaints } = await board.shared();
    const customer = page.getByLabel('Customer', { exact: true });
    const tea = page.getByLabel(/^Green tea/);
    const submit = page.getByRole('button', { name: /^Place the order/ });
    const before = await page.locator('[data-order]').count();
    await customer.fill('  ');
    await tea.fill('1.5');
    await submit.click();
    await page.getByText('Say who orders.').waitFor();
    await page.getByText('Use a whole number from 0 to 1000.').waitFor();
    expect(await page.evaluate('document.activeElement.name')).toBe('customerId');
    expect(await customer.getAttribute('aria-invalid')).toBe('true');
    await customer.fill('hana');
    await page.getByText('Say who orders.').waitFor({ state: 'detached' });
    await tea.fill('0');
    await page.getByLabel(/^Cup/).fill('0');
    await submit.click();
    await page.getByText('Choose at least one thing.').waitFor();
    expect(await page.evaluate('document.activeElement.name')).toBe('tea');
    expect(await page.locator('[data-order]').count()).toBe(before);
    await tea.fill('3');
    await submit.click();
    await column(page, 'Placed').getByText('hana').first().waitFor();
    expect(complaints).toEqual([]);
  });

  test('where no WebSocket gets through, the board is live all the same', async () => {
    const streams: string[] = [];
    const { page, complaints } = await board.open({}, async (opened) => {
      await opened.routeWebSocket(/./, (socket) => socket.close());
      opened.on('request', (request) => {
        if (request.url().includes('/realtime/sse')) streams.push(request.url());
      });
      await opened.goto(board.url());
      await opened.locator('.status[data-status="live"]').waitFor();
    });
    expect(streams).not.toEqual([]);
    await board.place('by-streams', 'olga');
    await card(page, 'by-streams').waitFor();
    await board.send('by-streams', 'pay', { paymentId: 'p-1' });
    await column(page, 'Paid').getByText('by-streams', { exact: true }).waitFor();
    expect(complaints).toEqual([]);
  });

  test('all of it by keyboard, and the focus goes with the order', async () => {
    const { page, complaints } = await board.open();
    const focused = (): Promise<string> =>
      page.evaluate('document.activeElement.innerText || document.activeElement.name || ""');
    const press = async (key: string, times = 1): Promise<void> => {
      for (let n = 0; n < times; n++) await page.keyboard.press(key);
    };
    await press('Tab');
    expect(await focused()).toBe('Skip to the orders');
    await press('Tab', 2);
    expect(await focused()).toBe('customerId');
    // Whoever goes by keyboard sees where they are.
    const outline = await page.evaluate('getComputedStyle(document.activeElement).outlineStyle');
    expect(outline).toBe('solid');
    await page.keyboard.type('ines');
    await page.keyboard.press('Enter');
    await page.getByText(/^Order o-\w+ is placed\.$/).waitFor();
    const orderId =
      ((await page.getByText(/^Order o-\w+ is placed\.$/).textContent()) ?? '').split(' ')[1] ?? '';
    await card(page, orderId).waitFor();
    while (!(await focused()).includes(orderId)) await press('Tab');
    for (const [move, next] of [
      ['Pay', 'paid'],
      ['Ship', 'shipped'],
      ['Deliver', 'delivered'],
    ] as const) {
      await expect.poll(focused).toContain(move);
      await press('Enter');
      await page.locator(`[data-order="${orderId}"][data-status="${next}"]`).waitFor();
    }
    const there = `document.activeElement.closest('[data-order]')?.dataset.order ?? ''`;
    await expect.poll(() => page.evaluate(there)).toBe(orderId);
    expect(complaints).toEqual([]);
  });

  test('made-up customers order by themselves, until they are switched off', async () => {
    const { page, complaints } = await board.shared();
    const news = page.getByRole('log').getByText(/placed, €/);
    const before = await news.count();
    await page.getByRole('switch').check();
    await news.nth(before).waitFor();
    await page.getByRole('switch').uncheck();
    expect(complaints).toEqual([]);
  });
});
