/** `tidemark parked list|show` for people. */
import { expect, test } from 'vitest';
import { parkedListText, parkedText } from '../../../src/cli/operations/parked-text.js';
import type { ParkedDetails } from '../../../src/projections/operations/types.js';

const event = { source: 'order', shard: 3, seq: 17, streamId: 'o-1', type: 'OrderPaid' };
const parked: ParkedDetails = {
  projection: 'order_summary',
  version: 2,
  part: '',
  key: 'o-1',
  event,
  error: 'no such price \u001b[31m',
  attempts: 3,
  parkedAt: '2026-01-01T00:00:00.000Z',
  queued: 12,
  events: [{ ...event, streamVersion: 2, recordedAt: '2026-01-01T00:00:01.000Z' }],
  skipped: [],
  together: [],
};

test('a list', () => {
  expect(parkedListText([], 0, 100)).toBe('nothing is parked');
  expect(parkedListText([parked, { ...parked, key: 'two words', part: 'customer' }], 5, 100)).toBe(
    [
      'KEY                    PROJECTION        WAITING  PARKED AT',
      'o-1                    order_summary v2       12  2026-01-01T00:00:00.000Z',
      '    order.OrderPaid (stream o-1, shard 3 seq 17): no such price \ufffd[31m',
      'customer: "two words"  order_summary v2       12  2026-01-01T00:00:00.000Z',
      '    order.OrderPaid (stream o-1, shard 3 seq 17): no such price \ufffd[31m',
      'and 3 more: see --limit',
    ].join('\n'),
  );
});

test('one key', () => {
  const text = parkedText(
    {
      ...parked,
      skipped: [
        {
          ...event,
          seq: 9,
          streamVersion: 1,
          recordedAt: '2026-01-01T00:00:01.000Z',
          skippedAt: '2026-01-02T00:00:00.000Z',
          why: 'a test',
        },
      ],
      together: [{ part: '', key: '\u202eo-2' }],
    },
    100,
  );
  expect(text).toBe(
    [
      'order_summary v2, o-1: parked at 2026-01-01T00:00:00.000Z',
      '  at fault: order.OrderPaid (stream o-1, shard 3 seq 17)',
      '  error: no such price \ufffd[31m',
      '  tried: 3 times',
      '  waiting: 12 events',
      '    2026-01-01T00:00:01.000Z  order.OrderPaid  o-1 version 2  3:17',
      '    and 11 more',
      '  skipped: order.OrderPaid (stream o-1, shard 3 seq 9) at 2026-01-02T00:00:00.000Z: a test',
      '  together: with "\\u202eo-2"',
    ].join('\n'),
  );
});
