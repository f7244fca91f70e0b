/** Orders for the realtime benchmarks, placed over HTTP as anybody would. */

/** At the same time. */
const AT_ONCE = 16;

/** Places so many orders, one after the other for each of `customers`. Resolves when they are at the read model. */
export async function placeOrders(
  http: string,
  count: number,
  customers: number,
  prefix: string,
): Promise<void> {
  let next = 0;
  let token = '';
  const place = async (): Promise<void> => {
    while (next < count) {
      const n = next++;
      const answer = await fetch(`${http}/commands/order/${prefix}-${n}/place`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({
          customerId: `c-${n % customers}`,
          lines: [{ sku: 'tea', quantity: 2, unitPriceCents: 450 }],
        }),
      });
      if (answer.status !== 200) throw new Error(`an order was answered ${answer.status}`);
      ({ token } = (await answer.json()) as { token: string });
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, place));
  const read = await fetch(`${http}/views/order_summary?limit=1&after=${token}&wait=30000`);
  if (read.status !== 200) throw new Error(`the view was answered ${read.status}`);
}
