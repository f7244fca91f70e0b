/** `tidemark projections list` for people. */
import { expect, test } from 'vitest';
import { listText } from '../../../src/cli/operations/list-text.js';
import type { VersionReport } from '../../../src/projections/operations/types.js';

const report = (over: Partial<VersionReport>): VersionReport => ({
  name: 'order_summary',
  version: 1,
  state: 'live',
  reason: null,
  since: '2026-01-01T00:00:00.000Z',
  loaded: true,
  ready: true,
  acceptParked: false,
  lag: 0,
  parkedKeys: 0,
  stops: [],
  processes: 2,
  projectors: 1,
  inView: true,
  bytes: 1_500_000,
  progress: null,
  ...over,
});
const stop = {
  source: 'order',
  shard: 3,
  kind: 'halted' as const,
  reason: `order.OrderPaid (stream "o-1" version 2, shard 3 seq 17): ${'no such price; '.repeat(10)}`.trim(),
  seq: 17,
  at: '2026-01-01T00:00:00.000Z',
};

test('a healthy application is a table and nothing else', () => {
  expect(listText([report({}), report({ name: 'customers', version: 12, lag: 1_234 })], 100)).toBe(
    [
      'PROJECTION        STATE    LAG  PARKED  STOPS  READY  PROCESSES  VIEW     SIZE',
      'order_summary v1  live       0       0      0  yes            2  yes   1.4 MiB',
      'customers v12     live   1,234       0      0  yes            2  yes   1.4 MiB',
    ].join('\n'),
  );
});

test('below a version stands what is the matter with it', () => {
  const text = listText(
    [
      report({
        state: 'building',
        loaded: false,
        ready: false,
        bytes: null,
        progress: {
          startedAt: '2026-01-01T00:00:00.000Z',
          phase: 'loading',
          events: 10,
          total: 100,
          perSecond: 5,
        },
      }),
      report({
        version: 2,
        state: 'halted',
        reason: stop.reason,
        stops: [stop],
        parkedKeys: 3,
        ready: false,
      }),
      report({ version: 3, state: 'retired', processes: 0, projectors: 0, bytes: null }),
      report({ version: 4, projectors: 0 }),
    ],
    100,
  );
  expect(text).toContain('\n    10%, 10 of 100 events, 5/s, 18 s left\n');
  expect(text).toContain('\n    order/3 halted: order.OrderPaid (stream "o-1" version 2, shard 3 seq 17):');
  expect(text.match(/no such\s+price/g)).toHaveLength(10);
  expect(text).toContain('\n    not ready while keys are parked: see tidemark parked list order_summary\n');
  expect(text).toMatch(/v3 +retired +- +0 +0 +yes +0 +yes +-\n/);
  expect(text).toMatch(/v4 .*\n {4}no process with the role projector runs it$/);
});

test('the longest name there can be still fits', () => {
  const long = report({
    name: 'a'.repeat(40),
    version: 999_999,
    state: 'needs_newer_code',
    lag: 1_234_567_890,
    parkedKeys: 10_000,
    stops: [stop],
    bytes: 1_023 * 2 ** 40,
  });
  const lines = listText([long], 100).split('\n');
  for (const line of lines) expect(line.length).toBeLessThanOrEqual(100);
  expect(lines[1]).toBe(`${'a'.repeat(40)} v999999`);
  expect(lines[2]).toMatch(/^ +needs_newer_code +1,234,567,890 +10,000 +1 +yes +2 +yes +1023 TiB$/);
});

test('nothing yet', () => expect(listText([], 100)).toBe('no projections yet'));

test('a build that nobody works at has no speed and no time left', () => {
  const progress = {
    startedAt: '2026-01-01T00:00:00.000Z',
    phase: 'loading' as const,
    events: 10,
    total: 100,
    perSecond: 5,
  };
  expect(listText([report({ state: 'building', ready: false, projectors: 0, progress })], 100)).toMatch(
    /\n {4}10%, 10 of 100 events\n {4}no process with the role projector runs it$/,
  );
});
