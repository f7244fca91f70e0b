/** What verify and diff say. */
import { expect, test } from 'vitest';
import { diffText, verificationText } from '../../../src/cli/operations/checking-text.js';
import type { VersionDiff } from '../../../src/projections/verify/diff.js';
import type { Verification } from '../../../src/projections/verify/verify.js';

const nothing = { total: 0, keys: [] };
const found: Verification = {
  projection: 'orders',
  version: 1,
  mode: 'sample',
  seed: 7,
  complete: true,
  compared: 1_000,
  events: 5_432,
  totals: { wrong: 0, missing: 0, extra: 0, change: 0, unfoldable: 0 },
  differences: 0,
  listed: [],
  parked: nothing,
  skipped: nothing,
  trimmed: 0,
  tookMs: 1_200,
};

test('a verification that finds nothing', () => {
  expect(verificationText(found, 100)).toBe(
    'orders v1: 1,000 rows compared with a fold of 5,432 events in 1 s (a sample, seed 7)\n  no difference',
  );
});

test('a verification that finds everything there is to find', () => {
  const text = verificationText(
    {
      ...found,
      mode: 'all',
      complete: false,
      totals: { wrong: 2, missing: 1, extra: 1, change: 1, unfoldable: 1 },
      differences: 6,
      listed: [
        {
          kind: 'wrong',
          key: 'o 1',
          revision: 3,
          columns: [
            { column: 'status', expected: '"paid"', actual: '"placed"' },
            { column: 'note', expected: undefined, actual: '"x"' },
          ],
        },
        { kind: 'missing', key: 'o-2', expected: '{"a":1}' },
        { kind: 'extra', key: 'o-3', revision: 4, actual: '{}' },
        { kind: 'change', key: 'o-4', revision: 5, reason: 'its last change is another' },
        { kind: 'unfoldable', key: 'o-5', error: 'it threw' },
      ],
      parked: { total: 3, keys: ['p-1', 'p-2'] },
      skipped: { total: 1, keys: ['s-1'] },
      trimmed: 2,
    },
    100,
  );
  expect(text.split('\n').slice(1)).toEqual([
    '  6 differences: 2 wrong, 1 missing, 1 extra, 1 not as the change log has it, 1 not foldable by this code',
    '    wrong "o 1" status: expected "paid", it is "placed"',
    '    wrong "o 1" note: expected absent, it is "x"',
    '    missing o-2: expected {"a":1}',
    '    extra o-3: its events make no row, there is {}',
    '    change log o-4: its last change is another',
    '    unfoldable o-5: it threw',
    '    and 1 more',
    '  parked, so compared without the events that wait: p-1, p-2 and 1 more',
    '  compared without the events that were skipped: s-1',
    '  the change log no longer has 2 rows (trimmed, or built anew): only their values were compared',
    '  the time was over before all was compared',
  ]);
});

const same: VersionDiff = {
  projection: 'orders',
  versions: [1, 2],
  rows: [2, 2],
  positions: [{ source: 'order', shard: 0, seqs: [5, 5] }],
  samePosition: true,
  columns: { both: ['id'], firstOnly: [], secondOnly: [] },
  differing: { total: 0, byColumn: {}, listed: [] },
  firstOnly: nothing,
  secondOnly: nothing,
};

test('a comparison that finds nothing', () => {
  expect(diffText(same, 100)).toBe(
    'orders: v1 has 2 rows, v2 has 2 rows\n  no difference in the columns that both have',
  );
});

test('a comparison that finds everything there is to find', () => {
  const text = diffText(
    {
      ...same,
      rows: [3, 1_002],
      samePosition: false,
      positions: [
        { source: 'order', shard: 0, seqs: [5, 3] },
        { source: 'customer', shard: 0, seqs: [null, 1_000] },
      ],
      columns: { both: ['id', 'cents'], firstOnly: ['old'], secondOnly: ['new', 'newer'] },
      differing: {
        total: 2,
        byColumn: { cents: 2 },
        listed: [{ key: 'o-1', columns: [{ column: 'cents', first: '1', second: '2' }] }],
      },
      firstOnly: { total: 1, keys: ['o-9'] },
      secondOnly: { total: 1_000, keys: ['o-7', 'o-8'] },
    },
    100,
  );
  expect(text.split('\n')).toEqual([
    'orders: v1 has 3 rows, v2 has 1,002 rows',
    '  not as of the same events (v1 has 5 in, v2 1,003): what differs may be a lag',
    '  columns only in v1: old',
    '  columns only in v2: new, newer',
    '  1 row only in v1: o-9',
    '  1,000 rows only in v2: o-7, o-8 and 998 more',
    '  2 rows in both, with other values: cents in 2',
    '    o-1 cents: v1 1, v2 2',
    '    and 1 row more',
  ]);
});
