/** How values of Postgres read, and what its errors mean. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { isoFromPostgres, quoteIdent } from '../../../src/platform/postgres/database.js';
import { byteOrder, newEpoch } from '../../../src/platform/postgres/logs.js';
import {
  isRefused,
  isRetryable,
  isTimeout,
  isUnavailable,
  sqlState,
  wasAnswered,
} from '../../../src/platform/postgres/sqlstate.js';

describe('isoFromPostgres', () => {
  test.each([
    ['2026-11-22 02:24:57+00', '2026-11-22T02:24:57.000Z'],
    ['2026-11-22 02:24:57.1+00', '2026-11-22T02:24:57.100Z'],
    ['2026-11-22 02:24:57.12+00', '2026-11-22T02:24:57.120Z'],
    ['2026-11-22 02:24:57.123456+00', '2026-11-22T02:24:57.123Z'],
    ['2026-11-22 02:24:57.000999+00', '2026-11-22T02:24:57.000Z'],
    ['2026-11-22 02:24:57.5+05:30', '2026-11-21T20:54:57.500Z'],
  ])('%s', (postgres, iso) => {
    expect(isoFromPostgres(postgres)).toBe(iso);
  });

  test('any time in milliseconds comes back', () => {
    const time = fc.date({ min: new Date('0001-01-01'), max: new Date('9999-12-31'), noInvalidDate: true });
    fc.assert(
      fc.property(time, (date) => {
        const iso = date.toISOString();
        expect(isoFromPostgres(iso.replace('T', ' ').replace('Z', '+00'))).toBe(iso);
      }),
    );
  });
});

test('byteOrder is the order of UTF-8 bytes, which is that of code points', () => {
  const codePoints = (text: string): number[] => [...text].map((char) => char.codePointAt(0) ?? 0);
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), fc.string({ unit: 'binary' }), (a, b) => {
      const [left, right] = [codePoints(a), codePoints(b)];
      const at = left.findIndex((point, index) => point !== right[index]);
      const expected = at === -1 ? left.length - right.length : (left[at] ?? 0) - (right[at] ?? -1);
      expect(Math.sign(byteOrder(a, b))).toBe(Math.sign(expected));
    }),
  );
  // Where UTF-16 order, JavaScript’s own, differs.
  expect(byteOrder('\uff5e', '𝒳')).toBeLessThan(0);
});

test('an epoch is of 0–9 and a–z, and new every time', () => {
  const epochs = Array.from({ length: 100 }, newEpoch);
  for (const epoch of epochs) expect(epoch).toMatch(/^[0-9a-z]+$/);
  expect(new Set(epochs).size).toBe(100);
});

test('an identifier is quoted', () => {
  expect(quoteIdent('a"; DROP TABLE b; --')).toBe('"a""; DROP TABLE b; --"');
});

describe('what an error means', () => {
  const fromPostgres = (code: string): Error => Object.assign(new Error('x'), { code, severity: 'ERROR' });
  const fromSocket = (code: string): Error => Object.assign(new Error(`connect ${code}`), { code });

  const meanings: readonly (readonly [string, readonly string[]])[] = [
    ['40001', ['retryable', 'answered']],
    ['40P01', ['retryable', 'answered']],
    ['40003', []],
    ['22P05', ['refused', 'answered']],
    ['23505', ['refused', 'answered']],
    ['54000', ['refused', 'answered']],
    ['55P03', ['timeout', 'answered']],
    ['57014', ['timeout', 'answered']],
    ['57P01', ['unavailable']],
    ['57P03', ['unavailable']],
    ['08006', ['unavailable']],
    ['53300', ['unavailable', 'answered']],
    ['42P01', ['answered']],
  ];
  const readings = {
    retryable: isRetryable,
    refused: isRefused,
    timeout: isTimeout,
    unavailable: isUnavailable,
    answered: wasAnswered,
  };
  const read = (error: unknown): string[] =>
    Object.entries(readings).flatMap(([name, is]) => (is(error) ? [name] : []));

  test.each(meanings)('SQLSTATE %s: %j', (code, expected) => {
    expect(read(fromPostgres(code)).toSorted()).toEqual(expected.toSorted());
  });

  test.each(['ECONNREFUSED', 'ECONNRESET', 'EPIPE', 'ETIMEDOUT', 'ENOTFOUND'])('%s of the socket', (code) => {
    expect(read(fromSocket(code))).toEqual(['unavailable']);
    expect(sqlState(fromSocket(code))).toBeUndefined();
  });

  test('connections that pg itself ends', () => {
    expect(isUnavailable(new Error('Connection terminated unexpectedly'))).toBe(true);
    expect(isUnavailable(new Error('timeout exceeded when trying to connect'))).toBe(true);
  });

  test('anything else says nothing', () => {
    for (const other of [undefined, null, 'ECONNRESET', 42, {}, new Error('fold failed')]) {
      expect(read(other)).toEqual([]);
    }
    // A code of five letters without a severity is not from Postgres.
    expect(sqlState(Object.assign(new Error('x'), { code: 'EPERM' }))).toBeUndefined();
  });
});
