/** docs/verifying-read-models.md: its session on the command line is a real one. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import orders from '../../../examples/orders/app.js';
import { blockWith } from '../../support/docs/blocks.js';
import { freshDatabase, type FreshDatabase } from '../../support/postgres.js';
import { append, startProjecting, type ProjectingProcess } from '../../support/projecting.js';
import { typed } from '../../support/typed.js';

const PAGE = 'docs/verifying-read-models.md';
let pg: FreshDatabase;
let one: ProjectingProcess;

beforeAll(async () => {
  pg = await freshDatabase();
  one = await startProjecting(pg.url, orders);
  for (let n = 1; n <= 40; n++) {
    const customerId = `c-${n % 4}`;
    const lines = [{ sku: 'tea', quantity: 1, unitPriceCents: 1250 }];
    const data = { customerId, lines, totalCents: 1250, itemCount: 1 };
    await append(one.store, 'order', `o-${n}`, [{ type: 'OrderPlaced', data, tags: { customerId } }]);
  }
  await one.caughtUp();
});
afterAll(async () => {
  await one.stop();
  await pg.drop();
});

test('its session is what the command prints', async () => {
  await one.db.query(`UPDATE tidemark.order_summary__v1 SET status = 'shipped' WHERE "orderId" = 'o-17'`);
  const [line = '', ...told] = (await blockWith(PAGE, '', '$ npx tidemark')).split('\n');
  const { stdout, stderr, code } = await typed(
    [...line.replace('$ npx tidemark ', '').split(' '), '--app', 'examples/orders/app.ts'],
    { DATABASE_URL: pg.url },
  );
  expect({ stderr, code }).toEqual({ stderr: '', code: 2 });
  const withoutTimes = (text: string): string => text.replaceAll(/in [\d.]+ m?s/g, 'in <time>').trim();
  expect(withoutTimes(stdout)).toBe(withoutTimes(told.join('\n')));
});
