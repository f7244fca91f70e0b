/** The guide of live UIs: its files compile as strictly as the house, beside the orders application, and render. */
import { afterAll, expect, test } from 'vitest';
import { blocksOf } from '../../support/docs/blocks.js';
import { pageOf, type Program } from '../../support/docs/page.js';

let page: Program | undefined;
afterAll(() => page?.remove());

/** As a server renders it; the browser's part is that of every page (test/browser). */
const RENDER = `
import { createElement } from 'react';
import { renderToString } from 'react-dom/server';
import { createClient } from 'tidemark/client';
import type app from './app.js';
import { TidemarkProvider } from './hooks.js';
import { Orders } from './orders.js';

const client = createClient<typeof app>({ url: 'http://127.0.0.1:1' });
const children = createElement(Orders, { customerId: 'ada' });
console.log(renderToString(createElement(TidemarkProvider, { client, children })));
client.close();
`;

/** What the guide says of names, filters, rows and payloads: each is told when the page is compiled. */
const WRONG = `
import { useCommand, useLive, useQuery } from './hooks.js';
export function Wrong() {
  // @ts-expect-error no such view
  useLive('order_sumary');
  // @ts-expect-error no such field
  useLive('order_summary', { where: { customer: 'ada' } });
  // @ts-expect-error no text
  useLive('order_summary', { where: { customerId: 1 } });
  // @ts-expect-error no such status
  useLive('order_summary', { where: { status: 'lost' } });
  // @ts-expect-error no such field to sort by
  useLive('order_summary', { sort: '-placed', limit: 1 });
  // @ts-expect-error no such field of a row
  useLive('order_summary').rows[0]?.total;
  // @ts-expect-error no such command
  useCommand('order', 'pray');
  // @ts-expect-error no such field of a payload
  void useCommand('order', 'pay').send('o-1', { payment: 'p-1' });
  // @ts-expect-error no such query
  useQuery('customer_order', { customerId: 'ada' });
  // @ts-expect-error no such field of an input
  useQuery('customer_orders', { customer: 'ada' });
  const fine = useLive('order_summary', { where: { trackingNumber: null }, sort: ['-placedAt', 'orderId'] });
  const key: string | null | undefined = fine.rows[0]?.trackingNumber;
  return key;
}
`;

test('docs/live-uis.md compiles, renders, and finds what is written wrong', async () => {
  const files = new Map([
    ['app.ts', "export { default } from '../../examples/orders/app.js';"],
    ['render.ts', RENDER],
    ['wrong.ts', WRONG],
  ]);
  for (const { language, text } of await blocksOf('docs/live-uis.md')) {
    if (!language.startsWith('ts')) continue;
    const [, name] = /^\/\/ (\S+\.tsx?)\n/.exec(text) ?? [];
    expect(name, text).toBeDefined();
    files.set(name ?? '', text);
  }
  expect([...files.keys()].sort()).toEqual([
    'app.ts',
    'hooks.ts',
    'main.tsx',
    'orders.tsx',
    'render.ts',
    'server.ts',
    'wrong.ts',
  ]);
  page = await pageOf(files);
  expect(await page.compile()).toEqual({ code: 0, output: '' });
  const ran = await page.run('render.ts');
  expect(ran).toEqual({ code: 0, output: '<ul aria-busy="true"></ul>\n' });
});
