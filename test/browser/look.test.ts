/** How the board looks and is reached: on a phone, in the dark, for whoever cannot see it, and with nothing from elsewhere. */
import axe from 'axe-core';
import type { Page, WebSocketRoute } from 'playwright-core';
import { beforeAll, expect, test } from 'vitest';
import { card, column, useBoard } from './support/board.js';
import { describeBrowser } from './support/chromium.js';

interface Finding {
  readonly id: string;
  readonly nodes: readonly { readonly html: string; readonly failureSummary?: string }[];
}

/** What axe finds wrong, by rule and element. @param rules all unless told otherwise */
async function faults(page: Page, rules?: readonly string[]): Promise<readonly string[]> {
  // Evaluated by the debugger: the page's own policy lets nothing in.
  if (!(await page.evaluate('"axe" in globalThis'))) await page.evaluate(axe.source);
  const options = JSON.stringify(rules ? { runOnly: rules } : {});
  const { violations } = await page.evaluate<{ violations: Finding[] }>(`axe.run(document, ${options})`);
  return violations.flatMap(({ id, nodes }) =>
    nodes.map(({ html, failureSummary }) => `${id}: ${html} ${failureSummary ?? ''}`),
  );
}

const LONG = `customer-with-a-name-that-has-no-end-${'x'.repeat(160)}`;

describeBrowser('how the board looks', () => {
  const board = useBoard();

  beforeAll(async () => {
    await board.place('o-placed');
    await board.place('o-done');
    await board.send('o-done', 'cancel', { reason: 'late' });
    await board.place('o-shipped');
    await board.send('o-shipped', 'pay', { paymentId: 'p-1' });
    await board.send('o-shipped', 'ship', { carrier: 'post', trackingNumber: 'T-1' });
    await board.place('o-long', LONG);
  });

  test('light and dark: axe finds nothing, in good days and bad', async () => {
    const { page, complaints } = await board.open({ colorScheme: 'light' });
    await card(page, 'o-long').waitFor();
    const isLight = async (): Promise<boolean> => {
      const background = await page.evaluate<string>(
        'getComputedStyle(document.documentElement).backgroundColor',
      );
      const [red = 0] = (/\d+/.exec(background) ?? []).map(Number);
      return red > 128;
    };
    expect(await isLight()).toBe(true);
    expect(await faults(page)).toEqual([]);
    await page.emulateMedia({ colorScheme: 'dark' });
    expect(await isLight()).toBe(false);
    // What is wrong, and a line that is cut, stand beside all that was there before.
    await page.getByLabel('Customer', { exact: true }).fill('');
    await page.getByRole('button', { name: /^Place the order/ }).click();
    await page.getByRole('button', { name: 'Cut the line' }).click();
    await page.locator('.status[data-status="cut"]').waitFor();
    expect(await faults(page)).toEqual([]);
    await page.emulateMedia({ colorScheme: 'light' });
    expect(await faults(page, ['color-contrast'])).toEqual([]);
    expect(complaints).toEqual([]);
  });

  test('at 320, 390, 768 and 1440 pixels nothing has to be scrolled sideways', async () => {
    const { page, complaints } = await board.open({
      viewport: { width: 320, height: 700 },
      isMobile: true,
    });
    await card(page, 'o-long').waitFor();
    for (const width of [320, 390, 768, 1440]) {
      await page.setViewportSize({ width, height: 700 });
      expect(await page.evaluate('document.documentElement.clientWidth')).toBe(width);
      expect(await page.evaluate('document.documentElement.scrollWidth')).toBeLessThanOrEqual(width);
      // Large enough for a thumb (WCAG 2.5.8).
      const small = await page.evaluate(
        `[...document.querySelectorAll('button:not(.link), input')].filter((one) => one.getBoundingClientRect().height < 24).length`,
      );
      expect(small).toBe(0);
      const right = await column(page, 'Done').boundingBox();
      expect((right?.x ?? 0) + (right?.width ?? 0)).toBeLessThanOrEqual(width);
    }
    expect(complaints).toEqual([]);
  });

  test('the head of the page is one row on a phone, however the line stands', async () => {
    let line: WebSocketRoute | undefined;
    let isDown = false;
    const { page } = await board.open({ viewport: { width: 360, height: 740 } }, async (opened) => {
      await opened.routeWebSocket(/\/realtime$/, (socket) => {
        line = socket;
        if (isDown) void socket.close({ code: 4000 });
        else socket.connectToServer();
      });
      await opened.goto(board.url());
      await opened.locator('.status[data-status="live"]').waitFor();
    });
    const isOneRow = (): Promise<boolean> =>
      page.evaluate(
        `document.querySelector('.top-row').getBoundingClientRect().height <
          Math.max(...[...document.querySelectorAll('.top-row > *')].map((one) => one.getBoundingClientRect().height)) + 2`,
      );
    expect(await isOneRow()).toBe(true);
    isDown = true;
    await line?.close({ code: 4000 });
    await page.locator('.status[data-status="stale"]').waitFor();
    expect(await isOneRow()).toBe(true);
    await page.getByRole('button', { name: 'Cut the line' }).click();
    await page.locator('.status[data-status="cut"]').waitFor();
    expect(await isOneRow()).toBe(true);
  });

  test('everything is from this server, and its policy is not broken', async () => {
    const { page, complaints } = await board.open();
    const hosts = new Set<string>();
    page.on('request', (request) => hosts.add(new URL(request.url()).host));
    const policy = (await page.reload())?.headers()['content-security-policy'] ?? '';
    await card(page, 'o-placed').waitFor();
    expect([...hosts]).toEqual([new URL(board.url()).host]);
    expect(policy).toContain("default-src 'none'");
    // What the policy is for: a script that got into the page can call nobody else.
    const refused = await page.evaluate<string>(
      `new Promise((resolve) => {
        document.addEventListener('securitypolicyviolation', (event) => resolve(event.effectiveDirective));
        fetch('http://127.0.0.1:1/').catch(() => undefined);
      })`,
    );
    expect(refused).toBe('connect-src');
    expect(complaints.filter((text) => !text.includes('127.0.0.1:1'))).toEqual([]);
  });
});
