/** What makes a request the same request, and what its headers and parameters may be. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { checkSingle, parseCommandHeaders } from '../../../src/commands/request-headers.js';
import { canonicalJson, idempotencyScope, requestHash } from '../../../src/commands/request-hash.js';
import { parseHistoryQuery, parseStateQuery } from '../../../src/commands/stream-parameters.js';
import { isTidemarkError } from '../../../src/platform/errors.js';

function faultsOf(run: () => unknown): { code: string; paths: string[] } | 'fine' {
  try {
    run();
    return 'fine';
  } catch (error) {
    if (!isTidemarkError(error)) throw error;
    return { code: error.code, paths: (error.faults ?? []).map((fault) => fault.path) };
  }
}

/** The same value with its keys in another order. */
function shuffled(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(shuffled);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .reverse()
      .map(([name, inner]) => [name, shuffled(inner)]),
  );
}

describe('request hash', () => {
  const base = { streamId: 'o-1', payload: { a: 1, b: [1, 2] }, ifMatch: undefined, ifNoneMatch: false };

  it('does not depend on the order of keys, and does on everything else', () => {
    const hash = requestHash(base).toString('hex');
    expect(requestHash({ ...base, payload: { b: [1, 2], a: 1 } }).toString('hex')).toBe(hash);
    const others = [
      { ...base, streamId: 'o-2' },
      { ...base, payload: { a: 1, b: [2, 1] } },
      { ...base, ifMatch: 0 },
      { ...base, ifMatch: '*' as const },
      { ...base, ifNoneMatch: true },
    ];
    const hashes = others.map((other) => requestHash(other).toString('hex'));
    expect(new Set([hash, ...hashes]).size).toBe(others.length + 1);
  });

  it('canonical JSON is JSON, says the same, and is one text for one value', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const text = canonicalJson(value);
        expect(JSON.parse(text)).toEqual(JSON.parse(JSON.stringify(value)));
        expect(canonicalJson(shuffled(value))).toBe(text);
      }),
    );
  });

  it('scopes never meet, whatever the names', () => {
    expect(idempotencyScope('a","b', 'c', 'd')).not.toBe(idempotencyScope('a', 'b","c', 'd'));
  });
});

describe('command headers', () => {
  it('reads what is right', () => {
    const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
    expect(parseCommandHeaders({ 'idempotency-key': ' ~', 'if-match': '"s0"', traceparent })).toEqual({
      idempotencyKey: ' ~',
      ifMatch: 0,
      traceparent,
    });
    expect(parseCommandHeaders({ 'if-match': '*' })).toEqual({ ifMatch: '*' });
    expect(parseCommandHeaders({ 'if-none-match': '*' })).toEqual({ ifNoneMatch: true });
    expect(parseCommandHeaders({})).toEqual({});
  });

  it.each([
    's1',
    '"s1',
    '"1"',
    'W/"s1"',
    '"s1", "s2"',
    '"s01"',
    '"s-1"',
    '"s1.5"',
    '"s9007199254740992"',
    '"s99999999999999999999"',
    '"r1-1"',
    '',
    '**',
  ])('refuses If-Match: %s', (value) => {
    const found = faultsOf(() => parseCommandHeaders({ 'if-match': value }));
    expect(found).toEqual({ code: 'invalid_header', paths: ['/if-match'] });
  });

  it('refuses other faults, all told together', () => {
    const key = (value: string) => faultsOf(() => parseCommandHeaders({ 'idempotency-key': value }));
    for (const value of ['', 'a'.repeat(201), 'ä', 'a\tb', 'a\u007f']) expect(key(value)).not.toBe('fine');
    expect(key('a'.repeat(200))).toBe('fine');
    const both = faultsOf(() => parseCommandHeaders({ 'if-match': '"s1"', 'if-none-match': '"s1"' }));
    expect(both).toEqual({ code: 'invalid_header', paths: ['/if-none-match', '/if-none-match'] });
  });

  it('takes a traceparent that is not valid as absent', () => {
    for (const traceparent of [
      '',
      'x',
      `00-${'0'.repeat(32)}-b7ad6b7169203331-01`,
      `ff-${'a'.repeat(32)}-b7ad6b7169203331-01`,
    ])
      expect(parseCommandHeaders({ traceparent })).toEqual({});
  });

  it('refuses a header that stands there twice', () => {
    expect(
      faultsOf(() => checkSingle(['Idempotency-Key', 'a', 'IDEMPOTENCY-KEY', 'b'], ['idempotency-key'])),
    ).toEqual({
      code: 'invalid_header',
      paths: ['/idempotency-key'],
    });
    expect(faultsOf(() => checkSingle(['Accept', 'a', 'Accept', 'b'], ['idempotency-key']))).toBe('fine');
  });
});

describe('stream parameters', () => {
  it('have defaults and bounds', () => {
    expect(parseHistoryQuery({})).toEqual({ from: 1, limit: 50 });
    expect(parseHistoryQuery({ from: '7', limit: '1000' })).toEqual({ from: 7, limit: 1_000 });
  });

  it.each([
    [{ from: '0' }, '/from'],
    [{ from: '-1' }, '/from'],
    [{ from: '1.5' }, '/from'],
    [{ from: '' }, '/from'],
    [{ from: '1e3' }, '/from'],
    [{ from: ['1', '2'] }, '/from'],
    [{ from: '9007199254740992' }, '/from'],
    [{ limit: '0' }, '/limit'],
    [{ limit: '1001' }, '/limit'],
    [{ form: '1' }, '/form'],
  ])('history refuses %j', (query, path) => {
    expect(faultsOf(() => parseHistoryQuery(query))).toEqual({ code: 'invalid_parameter', paths: [path] });
  });

  it('reads times with their offset, also with a plus that became a space', () => {
    const at = Date.parse('2026-01-02T03:04:05.678Z');
    for (const atTime of [
      '2026-01-02T03:04:05.678Z',
      '2026-01-02T05:04:05.678+02:00',
      '2026-01-02T05:04:05.678 02:00',
    ])
      expect(parseStateQuery({ atTime })).toEqual({ atTime: at });
    expect(parseStateQuery({ atVersion: '0' })).toEqual({ atVersion: 0 });
    expect(parseStateQuery({})).toEqual({});
  });

  it.each([
    [{ atTime: '2026-01-02' }, '/atTime'],
    [{ atTime: '2026-01-02T03:04:05' }, '/atTime'],
    [{ atTime: '2026-02-30T03:04:05Z' }, '/atTime'],
    [{ atTime: 'now' }, '/atTime'],
    [{ atVersion: '-1' }, '/atVersion'],
    [{ atVersion: '1', atTime: '2026-01-02T03:04:05Z' }, '/atTime'],
    [{ atversion: '1' }, '/atversion'],
  ])('state refuses %j', (query, path) => {
    expect(faultsOf(() => parseStateQuery(query))).toEqual({ code: 'invalid_parameter', paths: [path] });
  });
});
