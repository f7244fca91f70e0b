/** Scopes: what a rule may give, how they meet what is asked for, and when two are one. */
import { projection, aggregate } from 'tidemark';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { checkedScope, conditionsWithin, rowWithin, scopeHash } from '../../../src/rights/scopes.js';

const Thing = aggregate('thing', {
  state: z.object({}),
  initial: {},
  events: { Made: z.object({}) },
  commands: {},
})
  .evolve({ Made: (state) => state })
  .decide({});

const Things = projection('things', {
  version: 1,
  row: z.object({
    id: z.string(),
    owner: z.string(),
    team: z.string().nullable(),
    note: z.string().optional(),
    size: z.int(),
    weight: z.number(),
    open: z.boolean(),
    parts: z.array(z.string()),
  }),
  key: 'id',
}).on(Thing, { fold: { Made: (row) => row } });

describe('what a rule gives', () => {
  it.each([
    [true, true],
    [false, false],
    [{ owner: 'a' }, { owner: 'a' }],
    [{ team: null }, { team: null }],
    [{ note: null }, { note: null }],
    [
      { size: 3, open: false, weight: 0.5 },
      { open: false, size: 3, weight: 0.5 },
    ],
  ])('%j is a scope', (given, scope) => expect(checkedScope(Things, given)).toEqual(scope));

  const wrong: readonly unknown[] = [
    undefined,
    null,
    0,
    1,
    '',
    'yes',
    [],
    ['owner'],
    {},
    { owner: undefined },
    { owner: null },
    { owner: ['a', 'b'] },
    { owner: { like: '%' } },
    { owner: 1 },
    { owner: 'a\0' },
    { owner: '\ud800' },
    { size: 1.5 },
    { size: '1' },
    { weight: Number.NaN },
    { open: 'true' },
    { parts: null },
    { nobody: 'a' },
    { constructor: 'a' },
    Promise.resolve(true),
    () => true,
  ];
  it('or else is none', () => {
    const taken = wrong.filter((given) => {
      const scope = checkedScope(Things, given);
      return typeof scope === 'boolean' || !('wrong' in scope);
    });
    expect(taken).toEqual([]);
  });

  it('is the same in any order, and another with another value', () => {
    const of = (given: unknown): string | undefined => {
      const scope = checkedScope(Things, given);
      if (typeof scope === 'object' && 'wrong' in scope) throw new Error('no scope');
      return scopeHash(scope as Parameters<typeof scopeHash>[0]);
    };
    expect(of({ owner: 'a', size: 1 })).toBe(of({ size: 1, owner: 'a' }));
    const all = [
      { owner: 'a' },
      { owner: 'b' },
      { team: 'a' },
      { team: null },
      { owner: 'a', size: 1 },
      false,
    ];
    expect(new Set(all.map(of)).size).toBe(all.length);
    expect(of(true)).toBeUndefined();
    expect(of({ weight: -0 })).toBe(of({ weight: 0 }));
  });
});

describe('beside what is asked for', () => {
  it.each([
    [{}, true, {}],
    [{ owner: 'a' }, true, { owner: 'a' }],
    [{}, false, undefined],
    [{}, { owner: 'a' }, { owner: 'a' }],
    [{ size: 1 }, { owner: 'a' }, { size: 1, owner: 'a' }],
    [{ owner: 'a' }, { owner: 'a' }, { owner: 'a' }],
    [{ owner: 'b' }, { owner: 'a' }, undefined],
    [{ owner: null }, { owner: 'a' }, undefined],
  ])('%j within %j', (where, scope, both) => expect(conditionsWithin(where, scope)).toEqual(both));

  it('tells rows that are in it from those that are not', () => {
    const row = { id: '1', owner: 'a', team: null, size: 1 };
    expect(rowWithin({ owner: 'a', size: 1 }, row)).toBe(true);
    expect(rowWithin({ team: null, note: null }, row)).toBe(true);
    expect(rowWithin({ owner: 'a', size: 2 }, row)).toBe(false);
    expect(rowWithin({ note: 'x' }, row)).toBe(false);
    expect([rowWithin(true, row), rowWithin(false, row)]).toEqual([true, false]);
  });
});
