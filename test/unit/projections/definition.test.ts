/** What counts as another definition of a projection, and how the difference reads. */
import { aggregate, projection } from 'tidemark';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import type { AnyProjection } from '../../../src/domain/projection.js';
import { indexesOf } from '../../../src/projections/ddl.js';
import { definitionOf, differences, fingerprintOf } from '../../../src/projections/definition.js';
import { changeTable, indexName } from '../../../src/projections/names.js';

const Thing = aggregate('thing', {
  state: z.object({}),
  initial: {},
  events: { Made: z.object({}) },
  commands: {},
})
  .evolve({ Made: (state) => state })
  .decide({});

const Other = aggregate('other', {
  state: z.object({}),
  initial: {},
  events: { Made: z.object({}) },
  commands: {},
})
  .evolve({ Made: (state) => state })
  .decide({});

const row = z.object({ id: z.string(), at: z.iso.datetime(), size: z.enum(['s', 'm']), n: z.int() });
const options = { version: 1, row, key: 'id', channels: ['size', ['n', 'size']] } as const;
const base = projection('things', options).on(Thing, { fold: { Made: () => null } });

const same = (one: AnyProjection): boolean =>
  fingerprintOf(definitionOf(one)) === fingerprintOf(definitionOf(base));
const differs = (one: AnyProjection): string[] => differences(definitionOf(base), definitionOf(one));

describe('a definition', () => {
  it('is the same whatever the order of its parts, its indexes and its descriptions', () => {
    const { id, at, size, n } = row.shape;
    const other = projection('things', {
      ...options,
      row: z.object({ n, size: size.describe('of the thing'), at, id }),
      indexes: ['n'],
      channels: [['size', 'n'], 'size'],
    }).on(Thing, { fold: { Made: () => null } });
    expect(same(other)).toBe(true);
    expect(differs(other)).toEqual([]);
  });

  it('is another when key, channels, sources or what the schema takes differ', () => {
    const keyed = projection('things', options).on(Thing, { keys: () => 'all', fold: { Made: () => null } });
    expect(differs(keyed)).toEqual(['sources.thing: "by stream" → "by keys"']);
    const other = projection('things', {
      ...options,
      row: row.omit({ at: true }).extend({ size: z.enum(['s', 'm', 'l']), more: z.string().optional() }),
      channels: ['size'],
    }).on(Thing, { fold: { Made: () => null } });
    expect(same(other)).toBe(false);
    expect(differs(other)).toEqual([
      'channels: ["n + size","size"] → ["size"]',
      expect.stringMatching(/^fields\.at: removed \(was .*"kind":"text"/),
      expect.stringMatching(/^fields\.more: added \(.*"optional":true/),
      'fields.size.schema.enum: ["s","m"] → ["s","m","l"]',
    ]);
  });

  it('is what it was before there were joins and rows that move', () => {
    // Written down from Tidemark 0.1: a table that was made then is still this definition’s.
    expect(fingerprintOf(definitionOf(base))).toBe(
      '904e56465673d4384f3076c9c9ee1f909fda9a9ef10eb3d4bb5ded7face79295',
    );
  });

  it('is another when a join or what it gives differs', () => {
    const bare = projection('things', { ...options, row: row.extend({ of: z.string(), name: z.string() }) });
    const joined = (none: string) =>
      bare
        .join(Thing, { by: 'of', none: { name: none }, fold: { Made: () => null } })
        .on(Other, { fold: { Made: () => null } });
    const plain = bare.on(Other, { fold: { Made: () => null } });
    const change = (from: AnyProjection, to: AnyProjection) =>
      differences(definitionOf(from), definitionOf(to));
    expect(change(plain, joined(''))).toEqual([
      'joins: added ({"thing by of":{"name":""}})',
      'sources.thing: added ("joined")',
    ]);
    expect(change(joined(''), joined('?'))).toEqual(['joins.thing by of.name: "" → "?"']);
    const moving = bare.moving(Other, { fold: { Made: () => null } });
    expect(change(plain, moving)).toEqual(['sources.other: "by stream" → "moving"']);
  });

  it('survives the way to Postgres and back', () => {
    expect(differences(JSON.parse(JSON.stringify(definitionOf(base))), definitionOf(base))).toEqual([]);
  });
});

describe('names and indexes', () => {
  it('serve what joins go by, unless an index begins with it or it is the key', () => {
    const bare = { ...options, row: row.extend({ of: z.string().nullable(), name: z.string() }) } as const;
    const joining = { none: { name: '' }, fold: { Made: () => null } } as const;
    const by = (of: 'of' | 'id', indexes: readonly ('of' | readonly ['of', 'at'])[] = []) =>
      indexesOf(projection('things', { ...bare, indexes, channels: [] }).join(Thing, { ...joining, by: of }));
    expect(by('of')).toEqual([['of', 'id']]);
    expect(by('of', [['of', 'at']])).toEqual([['of', 'at', 'id']]);
    expect(by('id')).toEqual([]);
  });

  it('end each index with the key, and serve each channel by a prefix of one', () => {
    expect(indexesOf(base)).toEqual([
      ['size', 'id'],
      ['n', 'size', 'id'],
    ]);
    expect(indexesOf({ ...base, indexes: [['size', 'n', 'at']] })).toEqual([['size', 'n', 'at', 'id']]);
    expect(indexesOf({ ...base, indexes: [['id'], ['id', 'n']], channels: [['id']] })).toEqual([['id', 'n']]);
  });

  it('stay within what Postgres takes, and differ where the columns do', () => {
    const long = { name: 'p'.repeat(40), version: 999_999 };
    const one = indexName(long, ['customerId', 'placedAt']);
    const two = indexName(long, ['customerId', 'paidAt']);
    expect(one).toHaveLength(63);
    expect(one).not.toBe(two);
    expect(indexName(base, ['size', 'id'])).toBe('_ix_things__v1__size_id');
  });

  it('know change logs by name, and nothing else', () => {
    expect(changeTable('order_summary.v12')).toBe('_log_order_summary__v12');
    for (const odd of ['order', 'a.v0', 'a.v1; DROP', 'A.v1', 'a.v1.v2', '.v1', 'a"b.v1']) {
      expect(changeTable(odd)).toBeUndefined();
    }
  });
});
