/** Numbers, times and tables of the command line. */
import { InvalidArgumentError } from 'commander';
import { describe, expect, test } from 'vitest';
import { progressBar, progressText } from '../../../src/cli/progress.js';
import {
  amount,
  count,
  duration,
  parseDuration,
  parseVersion,
  positive,
  size,
  table,
  wrapped,
} from '../../../src/cli/words.js';

test('amounts and sizes', () => {
  expect([amount(0), amount(1_234_567), amount(-3)]).toEqual(['0', '1,234,567', '-3']);
  expect([count(1, 'key'), count(0, 'key'), count(2_000, 'process', 'processes')]).toEqual([
    '1 key',
    '0 keys',
    '2,000 processes',
  ]);
  expect([0, 1_023, 1_024, 10_239, 1_048_575, 5 * 2 ** 30, 3 * 2 ** 50].map(size)).toEqual([
    '0 B',
    '1023 B',
    '1.0 KiB',
    '10 KiB',
    '1.0 MiB',
    '5.0 GiB',
    '3072 TiB',
  ]);
});

test('times for people', () => {
  expect([0, 350, 999, 1_000, 61_000, 60_000, 3_600_000, 7_265_000, 100 * 3_600_000].map(duration)).toEqual([
    '0 ms',
    '350 ms',
    '999 ms',
    '1 s',
    '1 min 1 s',
    '1 min',
    '1 h',
    '2 h 1 min',
    '4 d 4 h',
  ]);
});

describe('what people type', () => {
  test.each([
    ['0', 0],
    ['500ms', 500],
    ['5s', 5_000],
    ['30m', 1_800_000],
    ['24h', 86_400_000],
    ['7d', 604_800_000],
    ['365d', 31_536_000_000],
  ])('%s is %d ms', (text, ms) => expect(parseDuration(text)).toBe(ms));

  test.each(['', '5', '-1s', '1.5h', '24 h', '366d', '1w', '5S', '999999999999s'])('%j is no time', (text) =>
    expect(() => parseDuration(text)).toThrow(InvalidArgumentError),
  );

  test('versions and counts', () => {
    expect([parseVersion('2'), parseVersion('v12'), positive('7')]).toEqual([2, 12, 7]);
    for (const wrong of ['0', 'v0', 'vv1', '1.0', 'one', '-1', '1234567', ''])
      expect(() => parseVersion(wrong)).toThrow(InvalidArgumentError);
    for (const wrong of ['0', '-1', '1.5', 'x', ''])
      expect(() => positive(wrong)).toThrow(InvalidArgumentError);
  });
});

test('wrapping', () => {
  expect(wrapped('one two  three\nfour', 9, '  ')).toEqual(['  one two', '  three', '  four']);
  expect(wrapped('abcdefghij k', 6, ' ')).toEqual([' abcde', ' fghij', ' k']);
  expect(wrapped('', 10)).toEqual([]);
  expect(wrapped('red \u001b[31mtext\u0007', 40)).toEqual(['red \ufffd[31mtext\ufffd']);
});

test('a table fits its width, and what is too long for the first column has a line of its own', () => {
  const heads = [{ title: 'NAME' }, { title: 'N', right: true }, { title: 'STATE' }];
  const rows = [
    ['a', '1', 'live'],
    ['a_rather_long_name', '1,000', 'needs_newer_code'],
  ];
  expect(table(heads, rows, 80)).toEqual({
    heading: 'NAME                    N  STATE',
    rows: [['a                       1  live'], ['a_rather_long_name  1,000  needs_newer_code']],
  });
  const narrow = table(heads, rows, 35);
  expect(narrow.rows).toEqual([
    ['a               1  live'],
    ['a_rather_long_name', '            1,000  needs_newer_code'],
  ]);
});

describe('the progress of a build', () => {
  const at = (events: number, perSecond = 50_000, phase: 'loading' | 'indexing' = 'loading') => ({
    startedAt: '2026-01-01T00:00:00.000Z',
    phase,
    events,
    total: 1_000_000,
    perSecond,
  });

  test('tells how much, how fast and how long still', () => {
    expect(progressBar(at(454_545))).toBe(
      '[#########-----------] 45%, 454,545 of 1,000,000 events, 50,000/s, 11 s left',
    );
  });

  test('says nothing that it does not know', () => {
    expect(progressText(at(0, 0))).toBe('0%, 0 of 1,000,000 events');
  });

  test('is never more than all, and 100% is all', () => {
    expect(progressText(at(999_999, 50_000))).toBe('99%, 999,999 of 1,000,000 events, 50,000/s, 0 ms left');
    expect(progressBar(at(1_200_000, 50_000))).toMatch(/^\[#{20}\] 100%/);
    expect(progressText({ ...at(0, 0), total: 0 })).toBe('100%, 0 of 0 events');
    expect(progressBar(at(1_000_000, 0, 'indexing'))).toBe(
      '[####################] making indexes (1,000,000 events)',
    );
  });
});
