/** Rights on the very field that is the key: the key says by itself whether its row can be theirs, channels or not. */
import { expect, it } from 'vitest';
import orders from '../../../examples/orders/app.js';
import { Signer } from '../../../src/platform/signing.js';
import { bindSubscription } from '../../../src/realtime/bindings.js';

const signer = new Signer(Buffer.alloc(32));
const bound = (key: string) =>
  bindSubscription(orders, signer, { t: 'sub', id: 's', view: 'customer_totals', key }, () => ({
    customerId: 'c-1',
  }));

it('lets a customer watch the row that is theirs', () => {
  expect(bound('c-1')).toMatchObject({ wanted: { filter: { kind: 'key', key: 'c-1' } } });
});

it('refuses the row of another', () => {
  expect(bound('c-2')).toMatchObject({ fault: { code: 'forbidden' } });
});
