/**
 * The orders example with rights on, as a program: what its start proposes to try works with a token of `token.js`, operators
 * have theirs, and its page asks who is there instead of waiting, shows customers what is theirs, and forgets them.
 */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { SignJWT } from 'jose';
import type { Page } from 'playwright-core';
import { expect, onTestFinished, test } from 'vitest';
import { tidemark } from '../support/command.js';
import { freshDatabase } from '../support/postgres.js';
import { builtBoard, card, column } from './support/board.js';
import { describeBrowser, useBrowser } from './support/chromium.js';

const run = promisify(execFile);
const ROOT = fileURLToPath(new URL('../../', import.meta.url));
/** By how much a token may be over for the server, where it is not told otherwise. */
const FORGIVEN_MS = 5_000;
const ORDERS_JWT_SECRET = 'of this test alone: thirty-two bytes or more';

async function tokenOf(id: string, ...role: string[]): Promise<string> {
  const options = { cwd: ROOT, env: { ...process.env, ORDERS_JWT_SECRET } };
  const { stdout } = await run(process.execPath, ['examples/orders/token.js', id, ...role], options);
  return stdout.trim();
}

async function started() {
  const postgres = await freshDatabase();
  onTestFinished(() => postgres.drop());
  const env = {
    DATABASE_URL: postgres.url,
    ORDERS_JWT_SECRET,
    PORT: '0',
    REALTIME_PORT: '0',
    LOG_LEVEL: 'warn',
  };
  const page = await builtBoard();
  const server = tidemark(['start', 'examples/orders/app.ts', '--page', page], env);
  const [banner] = await server.printed(/is running;[\s\S]*Try,[\s\S]*\n\n/);
  const [, url = ''] = /HTTP +(\S+)/.exec(banner) ?? [];
  return { url, banner };
}

async function signIn(page: Page, token: string): Promise<void> {
  await page.getByLabel('Token').fill(token);
  await page.getByRole('button', { name: 'Sign in' }).click();
}
const isLive = (page: Page) => page.locator('.status[data-status="live"]').waitFor();

describeBrowser('the orders example with rights', () => {
  const browser = useBrowser();

  test('what to try, operators, and a page for those who are known', { timeout: 240_000 }, async () => {
    const { url, banner } = await started();
    const [customer, staff, operator] = await Promise.all([
      tokenOf('c-1'),
      tokenOf('sam', 'staff'),
      tokenOf('olga', 'operator'),
    ]);

    // As somebody would who pastes the lines into a shell.
    const lines = banner.split('\n').filter((line) => line.startsWith('  curl'));
    expect(lines).toHaveLength(3);
    const pasted = async (line: string, TOKEN: string): Promise<unknown> =>
      JSON.parse((await run('sh', ['-c', line], { env: { ...process.env, TOKEN } })).stdout);
    expect(await pasted(lines[0] ?? '', customer)).toMatchObject({ streamId: 'o-1', version: 1 });
    await expect.poll(() => pasted(lines[1] ?? '', customer)).toMatchObject({ status: 'placed' });
    expect(await pasted(lines[2] ?? '', customer)).toMatchObject({ total: 1 });
    expect(await pasted(lines[0] ?? '', '')).toMatchObject({ code: 'unauthenticated' });

    const asked = (path: string, token: string) =>
      fetch(url + path, { headers: { authorization: `Bearer ${token}` } }).then(({ status }) => status);
    expect(await asked('/ops/projections', operator)).toBe(200);
    expect(await asked('/ops/projections', staff)).toBe(403);
    const tea = [{ sku: 'tea', quantity: 1, unitPriceCents: 450 }];
    const placed = await fetch(`${url}/commands/order/o-2/place`, {
      method: 'POST',
      headers: { authorization: `Bearer ${staff}`, 'content-type': 'application/json' },
      body: JSON.stringify({ customerId: 'c-2', lines: tea }),
    });
    expect(placed.status).toBe(200);

    const context = await browser.get().newContext({ viewport: { width: 320, height: 700 } });
    onTestFinished(() => context.close());
    const page = await context.newPage();
    page.setDefaultTimeout(60_000);
    await page.goto(url);
    await page.getByRole('heading', { name: 'Sign in to the orders' }).waitFor();
    expect(await page.evaluate('document.documentElement.scrollWidth')).toBeLessThanOrEqual(320);
    await signIn(page, `${customer}x`);
    await page.getByText('The server does not accept this token.').waitFor();
    await signIn(page, customer);
    await isLive(page);
    await card(page, 'o-1').waitFor();
    expect(await card(page, 'o-2').count()).toBe(0);
    // Their own total, though the whole view is not theirs.
    await page.getByRole('button', { name: /^c-1/ }).getByText('1 order').waitFor();
    expect(await page.getByLabel('Customer', { exact: true }).inputValue()).toBe('c-1');
    await card(page, 'o-1').getByRole('button', { name: 'Pay order o-1' }).click();
    await column(page, 'Paid').locator('[data-order="o-1"]').waitFor();
    await card(page, 'o-1').getByRole('button', { name: 'Ship order o-1' }).click();
    await card(page, 'o-1').getByText('This is not yours to do. (forbidden)').waitFor();

    // Somebody else at the same machine.
    await page.reload();
    await isLive(page);
    await page.getByRole('button', { name: /^Sign out/ }).click();
    await page.getByRole('heading', { name: 'Sign in to the orders' }).waitFor();
    expect(await page.locator('[data-order]').count()).toBe(0);
    // In the middle of a wide page, too.
    await page.setViewportSize({ width: 1100, height: 700 });
    const box = await page.locator('.sign-in .panel').boundingBox();
    expect(Math.abs((box?.x ?? 0) + (box?.width ?? 0) / 2 - 550)).toBeLessThan(2);
    // A token that ends while the page is open, and has no successor.
    const brief = await new SignJWT({ role: 'staff' })
      .setProtectedHeader({ alg: 'HS256' })
      .setSubject('sam')
      .setIssuer('orders')
      // The server forgives clocks that are a little off. Until then the page has to be there, on a busy machine too.
      .setExpirationTime(new Date(Date.now() - FORGIVEN_MS + 10_000))
      .sign(new TextEncoder().encode(ORDERS_JWT_SECRET));
    await signIn(page, brief);
    await card(page, 'o-2').waitFor();
    await page.getByText('Your token is not accepted any more: sign in with another one.').waitFor();
    expect(await page.locator('body').innerText()).not.toMatch(/o-1|o-2|Customers/);
    expect(await page.evaluate('sessionStorage.length')).toBe(0);
    await signIn(page, staff);
    for (const order of ['o-1', 'o-2']) await card(page, order).waitFor();
    expect(await page.evaluate('JSON.stringify(localStorage) + location.href')).not.toContain('eyJ');
  });
});
