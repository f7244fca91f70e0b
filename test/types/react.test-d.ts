/** What the compiler knows of an application in a component. Checked by `tsc`; nothing runs. */
import { createHooks } from 'tidemark/react';
import type { app } from './client.test-d.js';
import type { Equal, Expect } from './expect.js';

const { useClient, useCommand, useLive, useQuery } = createHooks<typeof app>();

export function Component() {
  const orders = useLive('summary', { sort: '-cents', limit: 50 });
  type Row = (typeof orders.rows)[number];
  useLive('summary', { where: { status: 'paid' } }, { initial: orders.rows });
  useLive('summary', null);
  // @ts-expect-error there is no such view
  useLive('summaries');
  // @ts-expect-error a status is one of two
  useLive('summary', { where: { status: 'shipped' } });
  // @ts-expect-error there is no such column
  useLive('summary', { sort: 'price' });
  // @ts-expect-error rows of another view
  useLive('names', {}, { initial: orders.rows });

  const top = useQuery('largest', { limit: 3 });
  type Data = typeof top.data;
  useQuery('largest', null);
  // @ts-expect-error a limit is a number
  useQuery('largest', { limit: '3' });

  const place = useCommand('order', 'place');
  void place.send('o-1', { cents: 100 });
  // @ts-expect-error cents are missing
  void place.send('o-1', {});
  // @ts-expect-error a customer is not placed
  useCommand('customer', 'place');

  void useClient().command('customer', 'c-1', 'rename', { name: 'ada' });
  const checks: [
    Expect<Equal<Row['status'], 'placed' | 'paid'>>,
    Expect<Equal<Data, { items: Row[] } | undefined>>,
  ] = [true, true];
  return checks;
}
