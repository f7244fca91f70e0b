/** Rights on the very field that is the key: the key says by itself whether its row can be theirs, channels or not. */
import { expect, it } from 'vitest';
import orders from '../../../examples/orders/app.js';
import { Signer } from '../../../src/platform/signing.js';
import { bindSubscription } from '../../../src/realtime/bindings.js';
import { Change } from '../../../src/realtime/change.js';
import { Channels, partOf } from '../../../src/realtime/channels.js';

const signer = new Signer(Buffer.alloc(32));
const bound = (key: string, customerId = 'c-1') =>
  bindSubscription(orders, signer, { t: 'sub', id: 's', view: 'customer_totals', key }, () => ({
    customerId,
  }));

function filterOf(key: string, customerId?: string) {
  const answer = bound(key, customerId);
  if ('fault' in answer) throw new Error(answer.fault.message);
  return answer.wanted.filter;
}

type Fields = Readonly<Record<string, string>>;
const change = (before: Fields | null, row: Fields | null): Change =>
  new Change(
    {
      log: 'customer_totals.v1',
      shard: 0,
      epoch: 'e',
      seq: 1,
      key: 'c-2',
      recordedAt: '2026-11-22T00:00:00.000Z',
      before,
      row: row && JSON.stringify(row),
    },
    [],
  );

it('lets a customer watch the row that is theirs', () => {
  const filter = filterOf('c-1');
  expect(filter).toMatchObject({ kind: 'key', key: 'c-1' });
  expect(filter).not.toHaveProperty('within');
});

it('the row of another is as one that is not there: no change of it is heard', () => {
  const filter = filterOf('c-2');
  const row = { customerId: 'c-2' };
  for (const one of [change(null, row), change(row, row), change(row, null), change(null, null)])
    expect(partOf(filter, one)).toBeUndefined();
});

it('whoever may not see a row shares the silence, and never a channel with its owner', () => {
  const channels = new Channels(0, () => 1, {
    open: () => {
      throw new Error('no window');
    },
    close: () => undefined,
    room: true,
  });
  const strangers = ['c-1', 'c-3'].map((who) => channels.acquire(filterOf('c-2', who), [0]));
  const owner = channels.acquire(filterOf('c-2', 'c-2'), [0]);
  expect(strangers[0]).toBe(strangers[1]);
  expect(owner).not.toBe(strangers[0]);
});
