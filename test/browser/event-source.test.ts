/** The small client of docs/sse.md, as it stands there, in a real browser: its rows, also over a connection that was cut. */
import { createServer as createHttpServer, type Server } from 'node:http';
import { connect, createServer, type AddressInfo, type Server as TcpServer, type Socket } from 'node:net';
import { testApp, type TestApp } from 'tidemark/testing';
import { afterAll, beforeAll, expect, test } from 'vitest';
import orders from '../../examples/orders/app.js';
import { Order } from '../../examples/orders/order.js';
import { blockWith } from '../support/docs/blocks.js';
import { freshDatabase, type FreshDatabase } from '../support/postgres.js';
import { describeBrowser, useBrowser } from './support/chromium.js';

const portOf = (server: Server | TcpServer): number => (server.address() as AddressInfo).port;

/** What the client's rows are, as the page's title. */
const pageWith = (client: string): string => `<!doctype html><script>${client}
const show = () => (document.title = [...rows.values()].map((row) => row.orderId + ' ' + row.status).sort().join());
for (const name of ['snap', 'chg', 'reset', 'live']) source.addEventListener(name, show);
</script>`;

describeBrowser('the client of docs/sse.md', () => {
  const browser = useBrowser();
  const lines = new Set<Socket>();
  /** The head of each request for a stream. */
  const asked: string[] = [];
  let pg: FreshDatabase | undefined;
  let app: TestApp;
  let pages: Server;
  let proxy: TcpServer;

  beforeAll(async () => {
    pg = await freshDatabase();
    app = await testApp(orders, { databaseUrl: pg.url });
    const port = Number(new URL(app.urls.realtime ?? '').port);
    proxy = createServer((line) => {
      line.once('data', (head) => asked.push(head.toString()));
      const onward = connect(port, '127.0.0.1');
      for (const one of [line, onward]) {
        lines.add(one);
        one.on('error', () => undefined).on('close', () => [line, onward].forEach((end) => end.destroy()));
      }
      line.pipe(onward).pipe(line);
    });
    await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
    const client = await blockWith('docs/sse.md', 'js', 'new EventSource');
    const html = pageWith(client.replace('http://localhost:3001', `http://127.0.0.1:${portOf(proxy)}`));
    pages = createHttpServer((_request, response) => {
      response.setHeader('content-type', 'text/html').end(html);
    });
    await new Promise<void>((resolve) => pages.listen(0, '127.0.0.1', resolve));
  });
  afterAll(async () => {
    for (const line of lines) line.destroy();
    pages?.close();
    proxy?.close();
    await app?.close();
    await pg?.drop();
  });

  const place = (id: string, customerId = 'c-1') =>
    app.execute(Order, id, 'place', {
      customerId,
      lines: [{ sku: 'tea', quantity: 1, unitPriceCents: 100 }],
    });

  test('shows the rows, and after a cut those that it missed', async () => {
    await place('s-1');
    await place('other', 'c-2');
    await app.caughtUp();
    const page = await browser.get().newPage();
    page.setDefaultTimeout(60_000);
    const shows = (title: string) => page.waitForFunction(`document.title === ${JSON.stringify(title)}`);
    await page.goto(`http://127.0.0.1:${portOf(pages)}/`);
    await shows('s-1 placed');
    await place('s-2');
    await shows('s-1 placed,s-2 placed');
    for (const line of lines) line.destroy();
    await app.execute(Order, 's-1', 'pay', { paymentId: 'p' });
    await place('s-3');
    await shows('s-1 paid,s-2 placed,s-3 placed');
    // It came back by itself, with the place that it had.
    expect(asked.length).toBeGreaterThanOrEqual(2);
    expect(asked.map((head) => /^last-event-id: \S+/im.test(head))).toEqual(asked.map((_head, n) => n > 0));
    await page.close();
  });
});
