/** The hooks in a real browser, under strict mode: what is asked for once, shown as of one moment, and let go. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import type { Page } from 'playwright-core';
import { createElement } from 'react';
import { renderToString } from 'react-dom/server';
import { createClient } from 'tidemark/client';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type orders from '../../examples/orders/app.js';
import { Orders, TidemarkProvider, type Row } from './page/parts.js';
import { useBoard } from './support/board.js';
import { describeBrowser } from './support/chromium.js';

const source = (file: string): string => fileURLToPath(new URL(file, import.meta.url));
let dir = '';

async function buildPage(): Promise<string> {
  dir = await mkdtemp(path.join(tmpdir(), 'tidemark-hooks-'));
  await build({
    entryPoints: [source('page/main.ts')],
    bundle: true,
    format: 'esm',
    target: 'es2022',
    outfile: path.join(dir, 'main.js'),
    // Strict mode begins everything twice in this build only.
    define: { 'process.env.NODE_ENV': '"development"' },
    alias: {
      'tidemark/client': source('../../src/client/index.ts'),
      'tidemark/react': source('../../src/client/react/index.ts'),
    },
    logLevel: 'error',
  });
  const html =
    '<!doctype html><title>hooks</title><link rel="icon" href="data:,"><body><script type="module" src="/main.js"></script>';
  await writeFile(path.join(dir, 'index.html'), html);
  return dir;
}

describeBrowser('hooks', () => {
  const board = useBoard(buildPage);
  afterAll(() => rm(dir, { recursive: true, force: true }));
  beforeAll(() => board.place('o-1', 'hooks'));

  async function open(): Promise<{ page: Page; sent: string[]; complaints: readonly string[] }> {
    const sent: string[] = [];
    const { page, complaints } = await board.open({}, async (opened) => {
      opened.on('websocket', (socket) =>
        socket.on('framesent', ({ payload }) => sent.push((JSON.parse(String(payload)) as { t: string }).t)),
      );
      await opened.goto(board.url());
      await opened.locator('body[data-ready]').waitFor({ state: 'attached' });
    });
    return { page, sent, complaints };
  }
  const show = (page: Page, what: string): Promise<void> =>
    page.evaluate(`stage.show(${JSON.stringify(what)})`);
  const liveOf = (page: Page, name: string) => page.locator(`[data-orders="${name}"][data-status="live"]`);

  test('components that ask for the same share one subscription, which ends after the last', async () => {
    const { page, sent, complaints } = await open();
    await show(page, 'two');
    await liveOf(page, 'two').getByText('o-1:placed').waitFor();
    expect(await liveOf(page, 'one').textContent()).toBe('o-1:placed');
    // Strict mode has begun each of them twice.
    expect(sent).toEqual(['sub']);
    await show(page, 'one');
    await liveOf(page, 'two').waitFor({ state: 'detached' });
    // Away and back at once: it was kept, and shows its rows right away.
    await show(page, 'nothing');
    await liveOf(page, 'one').waitFor({ state: 'detached' });
    await show(page, 'one');
    expect(await page.locator('[data-orders="one"]').textContent()).toBe('o-1:placed');
    expect(sent).toEqual(['sub']);
    await show(page, 'nothing');
    await expect.poll(() => sent).toEqual(['sub', 'unsub']);
    expect(complaints).toEqual([]);
  });

  test('what is rendered in pieces, while changes come, never shows two moments', async () => {
    const { page, complaints } = await open();
    await show(page, 'wall');
    await page.locator('[data-slow="24"]').getByText('o-1:placed').waitFor();
    for (let n = 0; n < 5; n++) {
      await page.evaluate('stage.turn()');
      await board.place(`o-wall-${n}`, 'hooks');
      // Round by round, as several that wait are rendered as one.
      const last = page.locator(`[data-slow="24"][data-round="${n + 1}"]`);
      await last.getByText(`o-wall-${n}:placed`).waitFor();
    }
    const seen = await page.evaluate<{ torn: string[]; commits: number }>('stage.seen');
    expect(seen.torn).toEqual([]);
    expect(seen.commits).toBeGreaterThan(5);
    expect(complaints).toEqual([]);
  });

  test('what a server rendered is taken over as it is, and goes on live', async () => {
    const { page, complaints } = await open();
    const at = '2026-01-01T00:00:00.000Z';
    const row: Row = {
      orderId: 'o-1',
      customerId: 'hooks',
      status: 'paid',
      totalCents: 900,
      itemCount: 2,
      placedAt: at,
      updatedAt: at,
      trackingNumber: null,
    };
    // Nobody listens there: a server that connected would fail.
    const client = createClient<typeof orders>({ url: 'http://127.0.0.1:1' });
    const html = renderToString(
      createElement(TidemarkProvider, {
        client,
        children: createElement(Orders, { name: 'one', initial: [row] }),
      }),
    );
    client.close();
    expect(html).toBe('<p data-orders="one" data-status="connecting">o-1:paid</p>');
    const recovered = await page.evaluate(`stage.hydrate(${JSON.stringify(html)}, ${JSON.stringify([row])})`);
    await liveOf(page, 'one').getByText('o-1:placed').waitFor();
    expect(recovered).toEqual([]);
    expect(complaints).toEqual([]);
  });

  test('rows that are dropped are gone: what a server rendered does not come back in their place', async () => {
    let take: ((frame: object) => void) | undefined;
    let subscription = '';
    const { page, complaints } = await board.open({}, async (opened) => {
      await opened.routeWebSocket(/\/realtime$/, (socket) => {
        const server = socket.connectToServer();
        server.onMessage((message) => socket.send(message));
        take = (frame) => socket.send(JSON.stringify(frame));
        socket.onMessage((message) => {
          const { t, id } = JSON.parse(String(message)) as { readonly t: string; readonly id: string };
          if (t === 'sub') subscription = id;
          server.send(message);
        });
      });
      await opened.goto(board.url());
      await opened.locator('body[data-ready]').waitFor({ state: 'attached' });
    });
    const initial = [{ orderId: 'o-old', status: 'paid' }];
    const html = '<p data-orders="one" data-status="connecting">o-old:paid</p>';
    await page.evaluate(`stage.hydrate(${JSON.stringify(html)}, ${JSON.stringify(initial)})`);
    await liveOf(page, 'one').getByText('o-1:placed').waitFor();
    take?.({ t: 'reset', id: subscription, reason: 'rights_changed' });
    const dropped = page.locator('[data-orders="one"][data-status="connecting"]');
    await dropped.waitFor({ state: 'attached' });
    expect(await dropped.textContent()).toBe('');
    expect(complaints).toEqual([]);
  });

  test('what a server rendered for another caller is gone at once, also before there is a line', async () => {
    let asked = (): void => undefined;
    const isAsked = new Promise<void>((resolve) => (asked = resolve));
    const { page } = await board.open({}, async (opened) => {
      // Nobody answers.
      await opened.routeWebSocket(/\/realtime$/, (socket) => socket.onMessage(() => asked()));
      await opened.goto(board.url());
      await opened.locator('body[data-ready]').waitFor({ state: 'attached' });
    });
    const html = '<p data-orders="one" data-status="connecting">o-old:paid</p>';
    const initial = [{ orderId: 'o-old', status: 'paid' }];
    await page.evaluate(`stage.hydrate(${JSON.stringify(html)}, ${JSON.stringify(initial)})`);
    await isAsked;
    await page.evaluate('stage.renew()');
    const there = page.locator('[data-orders="one"][data-status="connecting"]');
    await expect.poll(() => there.textContent()).toBe('');
  });

  test('what a query answered to another caller is gone at once', async () => {
    const { page } = await open();
    await show(page, 'asking');
    const total = page.locator('[data-total]');
    await expect.poll(() => total.textContent()).not.toBe('none');
    let go = (): void => undefined;
    const held = new Promise<void>((resolve) => (go = resolve));
    await page.route('**/queries/customer_orders', async (route) => {
      await held;
      await route.continue();
    });
    const asked = page.waitForRequest('**/queries/customer_orders');
    await page.evaluate('stage.renew()');
    await asked;
    expect(await total.textContent()).toBe('none');
    go();
    await expect.poll(() => total.textContent()).not.toBe('none');
  });

  test('a query follows its input and a command; a refusal has its code', async () => {
    const { page, complaints } = await open();
    await show(page, 'asking');
    const total = page.locator('[data-total]');
    const who = page.getByLabel('who');
    await expect.poll(() => total.textContent()).not.toBe('none');
    // Each letter is another question; only the last one counts, and one that is not answered by then is given up.
    await page.route('**/queries/customer_orders', (route) =>
      route.request().postData()?.includes('nobody') ? undefined : route.continue(),
    );
    const givenUp = page.waitForEvent('requestfailed');
    await who.fill('nobody');
    await who.fill('');
    expect((await givenUp).postData()).toContain('nobody');
    expect(await total.textContent()).toBe('none');
    await who.fill('x'.repeat(201));
    await page.locator('[data-error]').getByText('invalid_payload').waitFor();
    await page.getByRole('button', { name: 'place', exact: true }).click();
    await page.locator('[data-place]').getByText('o-asked-1').waitFor();
    // By its token the query has what the command wrote.
    await total.getByText('1', { exact: true }).waitFor();
    await page.getByRole('button', { name: 'place nothing' }).click();
    await page.locator('[data-place]').getByText('invalid_payload').waitFor();
    await board.place('o-asked-other', 'asking');
    await expect
      .poll(async () => {
        await page.getByRole('button', { name: 'refresh' }).click();
        return total.textContent();
      })
      .toBe('2');
    const expected = ['400 (Bad Request)', '/queries/customer_orders net::ERR_ABORTED'];
    expect(complaints.filter((text) => !expected.some((part) => text.includes(part)))).toEqual([]);
  });
});
