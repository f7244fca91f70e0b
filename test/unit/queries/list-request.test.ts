/** What a listing's parameters mean, and what is refused. */
import { describe, expect, it } from 'vitest';
import { isTidemarkError } from '../../../src/platform/errors.js';
import {
  bindingOf,
  parseListRequest,
  requestHash,
  type ListRequest,
} from '../../../src/queries/list-request.js';
import { parametersOf } from '../../../src/queries/parameters.js';
import { Sample } from '../../support/sample-view.js';

const parse = (query: Record<string, string | string[]>): ListRequest =>
  parseListRequest(Sample, parametersOf(query));

function refusal(query: Record<string, string | string[]>): {
  code: string;
  paths: string[];
  known: unknown;
} {
  try {
    parse(query);
  } catch (error) {
    if (!isTidemarkError(error)) throw error;
    return {
      code: error.code,
      paths: (error.faults ?? []).map(({ path }) => path),
      known: error.extra?.['known'],
    };
  }
  throw new Error('it was accepted');
}

const filters = (query: Record<string, string>): unknown =>
  parse(query).filters.map(({ field, value }) => [field.name, value]);
const sort = (text: string, more: Record<string, string> = {}): unknown =>
  parse({ sort: text, ...more }).sort.map(({ field, descending }) => `${descending ? '-' : ''}${field.name}`);

describe('filters', () => {
  it('have the JSON type of their field', () => {
    expect(filters({ name: 'Ann', amount: '12', ratio: '-1.5e3', flag: 'false' })).toEqual([
      ['amount', 12],
      ['flag', false],
      ['name', 'Ann'],
      ['ratio', -1500],
    ]);
    expect(filters({ amount: '1e3' })).toEqual([['amount', 1000]]);
    expect(Object.is(parse({ amount: '-0' }).filters[0]?.value, 0)).toBe(true);
  });

  it('mean null where the value is empty and the field may be null or absent', () => {
    expect(filters({ note: '', amount: '', flag: '', extra: '' })).toEqual([
      ['amount', null],
      ['extra', null],
      ['flag', null],
      ['note', null],
    ]);
    expect(filters({ name: '' })).toEqual([['name', '']]);
    expect(refusal({ ratio: '' })).toMatchObject({ code: 'invalid_parameter', paths: ['/ratio'] });
  });

  it.each([
    ['amount', 'x'],
    ['amount', '1.5'],
    ['amount', '9007199254740992'],
    ['amount', '01'],
    ['amount', ' 1'],
    ['amount', '0x10'],
    ['ratio', 'NaN'],
    ['ratio', 'Infinity'],
    ['ratio', '1e999'],
    ['flag', '1'],
    ['flag', 'TRUE'],
    ['name', 'a\u0000b'],
    ['name', '\ud800'],
    ['id', ' '],
    ['id', ''],
    ['id', 'x'.repeat(201)],
    ['limit', '0'],
    ['limit', '1001'],
    ['limit', '1.0'],
    ['limit', ''],
    ['sort', ''],
    ['sort', 'name,'],
    ['sort', '-'],
    ['sort', 'name,-name'],
  ])('%s=%j is a fault at that field', (name, value) => {
    expect(refusal({ [name]: value })).toMatchObject({ code: 'invalid_parameter', paths: [`/${name}`] });
  });

  it('tell all wrong values at once', () => {
    expect(refusal({ amount: 'x', flag: 'y' }).paths).toEqual(['/amount', '/flag']);
  });

  it('are only on the key, indexed and channel fields; the answer lists them', () => {
    const known = ['id', 'name', 'note', 'amount', 'ratio', 'flag', 'extra'];
    for (const name of ['secret', 'tags', 'nope', '__proto__', 'constructor']) {
      const query: Record<string, string> = Object.fromEntries([[name, 'x']]);
      expect(refusal(query)).toEqual({ code: 'unknown_field', paths: [`/${name}`], known });
    }
    expect(refusal({ sort: '-secret' })).toEqual({ code: 'unknown_field', paths: ['/sort'], known });
  });

  it.each(['name', 'sort', 'limit', 'page'])('%s stands there once', (name) => {
    expect(refusal({ [name]: ['1', '1'] })).toMatchObject({ code: 'invalid_parameter', paths: [`/${name}`] });
  });
});

describe('order', () => {
  it('is by key unless sorted, and always ends with the key', () => {
    expect(parse({}).sort.map(({ field }) => field.name)).toEqual(['id']);
    expect(sort('-amount')).toEqual(['-amount', 'id']);
    expect(sort('name,-amount')).toEqual(['name', '-amount', 'id']);
    expect(sort('name,-id')).toEqual(['name', '-id']);
    expect(sort('-id,name')).toEqual(['-id']);
  });

  it('leaves out what a filter holds still', () => {
    expect(sort('name,-amount', { name: 'Ann' })).toEqual(['-amount', 'id']);
    expect(sort('note', { note: '' })).toEqual(['id']);
  });
});

describe('the name of a request', () => {
  const hash = (query: Record<string, string>): string =>
    requestHash({ request: parse(query), scope: undefined });
  it('is one for the same request, however it is written', () => {
    expect(hash({ name: 'a', amount: '10' })).toBe(hash({ amount: '1e1', name: 'a' }));
    expect(hash({ sort: 'id' })).toBe(hash({}));
    expect(hash({ page: 'x' })).toBe(hash({}));
  });
  it('is another for another filter, value, sort or limit', () => {
    const all = [
      {},
      { name: '1' },
      { note: '1' },
      { note: '' },
      { sort: '-id' },
      { sort: 'name' },
      { limit: '51' },
    ];
    expect(new Set(all.map((query) => hash(query as Record<string, string>))).size).toBe(all.length);
  });
});

describe('what a subscription is bound to', () => {
  const binding = (query: Record<string, string>): unknown => bindingOf(Sample, parse(query).filters);
  it('is the view, a key, or exactly one channel', () => {
    expect(binding({})).toEqual({ view: 'sample' });
    expect(binding({ sort: '-amount', limit: '3' })).toEqual({ view: 'sample' });
    expect(binding({ id: 'a' })).toEqual({ view: 'sample', key: 'a' });
    expect(binding({ name: 'a' })).toEqual({ view: 'sample', where: { name: 'a' } });
    expect(binding({ flag: '', name: 'a' })).toEqual({ view: 'sample', where: { flag: null, name: 'a' } });
  });
  it('is nothing for other filters', () => {
    expect(binding({ flag: 'true' })).toBeUndefined();
    expect(binding({ amount: '1' })).toBeUndefined();
    expect(binding({ id: 'a', name: 'b' })).toBeUndefined();
  });
});
