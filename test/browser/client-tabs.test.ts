/** Tabs of one browser share one socket, and another tab takes over where the one that has it goes. */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import type { BrowserContext, Page } from 'playwright-core';
import { testApp, type TestApp } from 'tidemark/testing';
import { afterAll, beforeAll, expect, test } from 'vitest';
import orders from '../../examples/orders/app.js';
import { Order } from '../../examples/orders/order.js';
import { freshDatabase, type FreshDatabase } from '../support/postgres.js';
import { describeBrowser, useBrowser } from './support/chromium.js';

/** A page whose title is what its live view shows. */
const pageWith = (bundle: string, realtimeUrl: string): string => `<!doctype html><script>${bundle}
const token = 'x.' + btoa(JSON.stringify({ sub: location.search, jti: Math.random() })) + '.y';
const client = tidemark.createClient({ realtimeUrl: '${realtimeUrl}', token: () => token });
const said = [];
client.onRenew(() => said.push('renewed'));
const store = client.live('order_summary');
store.subscribe(() => {
  document.title = store.status + ' ' + store.rows.map(({ orderId }) => orderId).join(' ');
});
</script>`;

describeBrowser('tabs', () => {
  const browser = useBrowser();
  let pg: FreshDatabase | undefined;
  let app: TestApp;
  let pages: Server;

  beforeAll(async () => {
    const { outputFiles } = await build({
      entryPoints: [fileURLToPath(new URL('../../src/client/index.ts', import.meta.url))],
      bundle: true,
      format: 'iife',
      globalName: 'tidemark',
      platform: 'browser',
      write: false,
    });
    pg = await freshDatabase();
    app = await testApp(orders, { databaseUrl: pg.url });
    const html = pageWith(outputFiles[0]?.text ?? '', app.urls.realtime ?? '');
    pages = createServer((_request, response) => {
      response.setHeader('content-type', 'text/html').end(html);
    });
    await new Promise<void>((resolve) => pages.listen(0, '127.0.0.1', resolve));
  });
  afterAll(async () => {
    pages?.close();
    await app?.close();
    await pg?.drop();
  });

  interface Tab {
    readonly page: Page;
    readonly sockets: () => number;
    readonly shows: (title: string) => Promise<unknown>;
  }
  async function open(context: BrowserContext, claims = 'ann'): Promise<Tab> {
    const page = await context.newPage();
    page.setDefaultTimeout(60_000);
    let sockets = 0;
    page.on('websocket', () => sockets++);
    // A real address: a page that comes from none may not connect to this machine.
    await page.goto(`http://127.0.0.1:${(pages.address() as AddressInfo).port}/?${claims}`);
    // Told in the page's own words: the document is the browser's, of which Node's types know nothing.
    const shows = (title: string) => page.waitForFunction(`document.title === ${JSON.stringify(title)}`);
    return { page, sockets: () => sockets, shows };
  }
  const place = (id: string) =>
    app.execute(Order, id, 'place', {
      customerId: 'c',
      lines: [{ sku: 'tea', quantity: 1, unitPriceCents: 100 }],
    });

  test('one socket for tabs of one caller; the next takes over, and nothing is missed', async () => {
    const context = await browser.get().newContext();
    try {
      const one = await open(context);
      await one.shows('live');
      const two = await open(context);
      await two.shows('live');
      const three = await open(context);
      await three.shows('live');
      const other = await open(context, 'ben');
      await other.shows('live');
      expect([one, two, three, other].map(({ sockets }) => sockets())).toEqual([1, 0, 0, 1]);
      await place('t-1');
      for (const { shows } of [one, two, three, other]) await shows('live t-1');
      await one.page.close();
      await place('t-2');
      for (const { shows } of [two, three]) await shows('live t-1 t-2');
      expect(two.sockets() + three.sockets()).toBe(1);
      await (two.sockets() === 1 ? two : three).page.close();
      const last = two.sockets() === 1 ? three : two;
      await place('t-3');
      await last.shows('live t-1 t-2 t-3');
      expect(last.sockets()).toBe(1);
    } finally {
      await context.close();
    }
  });

  test('a tab that leads and stands still is not waited for; once it wakes it is a guest, and has missed nothing', async () => {
    const context = await browser.get().newContext();
    try {
      const one = await open(context);
      await one.shows('live t-1 t-2 t-3');
      const browserOfOne = await context.newCDPSession(one.page);
      // From the next line of script that it would run.
      await browserOfOne.send('Debugger.enable');
      await browserOfOne.send('Debugger.pause');
      const two = await open(context);
      await two.shows('live t-1 t-2 t-3');
      expect(two.sockets()).toBe(1);
      await place('t-4');
      await two.shows('live t-1 t-2 t-3 t-4');
      await browserOfOne.send('Debugger.disable');
      await one.shows('live t-1 t-2 t-3 t-4');
      await place('t-5');
      for (const { shows } of [one, two]) await shows('live t-1 t-2 t-3 t-4 t-5');
      expect(one.sockets() + two.sockets()).toBe(2);
    } finally {
      await context.close();
    }
  });

  test('a login or logout in one tab is one in all tabs of the caller, with nothing left of before', async () => {
    const context = await browser.get().newContext();
    try {
      const [one, two, other] = [await open(context), await open(context), await open(context, 'ben')];
      for (const { page } of [one, two, other])
        await page.waitForFunction("document.title.startsWith('live t-1')");
      // From here on each notes what it shows at every change.
      for (const { page } of [one, two, other])
        await page.evaluate(`globalThis.shown = []; store.subscribe(() => shown.push(document.title))`);
      await two.page.evaluate('client.renew()');
      for (const { page } of [one, two]) {
        await page.waitForFunction("said.length === 1 && document.title.startsWith('live t-1')");
        expect(await page.evaluate('shown[0]')).toBe('connecting');
      }
      expect(await other.page.evaluate('said.length + shown.length')).toBe(0);
      // Still one socket for both: another one than before.
      expect(one.sockets() + two.sockets()).toBe(2);
    } finally {
      await context.close();
    }
  });
});
