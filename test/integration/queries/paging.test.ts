/** Keyset pages against a sorted list in memory: any sort, any page size, nulls, ties, and rows that come and go meanwhile. */
import fc from 'fast-check';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { byteOrder } from '../../../src/platform/postgres/logs.js';
import { parseListRequest } from '../../../src/queries/list-request.js';
import { parametersOf, type FilterValue } from '../../../src/queries/parameters.js';
import { Views } from '../../../src/queries/views.js';
import {
  Sample,
  sampleApp,
  SORTABLE,
  valueIn,
  type SampleRow,
  type Sortable,
} from '../../support/sample-view.js';
import { sampleDatabase, sampleRow, type SampleDatabase } from './sample-database.js';

let sample: SampleDatabase;
let views: Views;

beforeAll(async () => {
  sample = await sampleDatabase();
  views = new Views({ app: sampleApp, db: sample.db, signer: sample.signer });
});
afterAll(() => sample.end());
beforeEach(async () => {
  await sample.db.query(`TRUNCATE ${sample.db.table('sample__v1')}`);
});

type Query = Record<string, string>;

async function page(query: Query): Promise<{ items: SampleRow[]; next: string | null }> {
  const { json } = await views.list(Sample, parseListRequest(Sample, parametersOf(query)), true);
  return JSON.parse(json);
}

/** Rows of all pages of a query; `between` is called after each page. */
async function allPages(query: Query, between?: (step: number) => Promise<void>): Promise<SampleRow[]> {
  const limit = Number(query['limit']);
  const seen: SampleRow[] = [];
  let next: string | null | undefined;
  for (let step = 0; next !== null; step++) {
    const got = await page(next === undefined ? query : { ...query, page: next });
    expect(got.items.length).toBeLessThanOrEqual(limit);
    expect(got.next === null || got.items.length > 0).toBe(true);
    seen.push(...got.items);
    next = got.next;
    await between?.(step);
  }
  return seen;
}

interface Order {
  readonly field: Sortable;
  readonly descending: boolean;
}

function compare(a: FilterValue, b: FilterValue): number {
  if (a === b) return 0;
  // Null counts as greater than every value.
  if (a === null) return 1;
  if (b === null) return -1;
  if (typeof a === 'string' && typeof b === 'string') return byteOrder(a, b);
  return a < b ? -1 : 1;
}

function sorted(rows: readonly SampleRow[], orders: readonly Order[]): SampleRow[] {
  return rows.toSorted((a, b) => {
    for (const { field, descending } of [...orders, { field: 'id' as const, descending: false }]) {
      const order = compare(valueIn(a, field), valueIn(b, field));
      if (order !== 0) return descending ? -order : order;
    }
    return 0;
  });
}

/** Few values, so that ties are common; letters whose order differs between "C" and a language's collation. */
const letters = fc.constantFrom('a', 'B', 'b', 'ä', 'z', '-', '', 'a b', '\u{1F600}', '\uFFFD');
const row: fc.Arbitrary<Omit<SampleRow, 'id'>> = fc.record(
  {
    name: letters,
    note: fc.option(letters),
    amount: fc.option(fc.constantFrom(0, 1, -1, 9007199254740991, -9007199254740991)),
    ratio: fc.constantFrom(0, -0.1, 0.1, 1e21, 5e-324, 1.7976931348623157e308, 0.30000000000000004),
    flag: fc.option(fc.boolean()),
    extra: letters,
    tags: fc.array(
      fc.string({ unit: 'grapheme', maxLength: 3 }).filter((text) => !text.includes('\0')),
      {
        maxLength: 2,
      },
    ),
    secret: fc.constant('s'),
  },
  { requiredKeys: ['name', 'note', 'amount', 'ratio', 'flag', 'tags', 'secret'] },
);
const rowsOf = (length: { minLength: number; maxLength: number }): fc.Arbitrary<SampleRow[]> =>
  fc
    .uniqueArray(fc.tuple(fc.constantFrom('k', 'K', 'é', 'x'), fc.nat(40)), {
      ...length,
      selector: ([letter, n]) => `${letter}${n}`,
    })
    .chain((ids) =>
      fc.tuple(...ids.map(([letter, n]) => row.map((rest) => ({ id: `${letter}${n}`, ...rest })))),
    );
const orders: fc.Arbitrary<Order[]> = fc.uniqueArray(
  fc.record({ field: fc.constantFrom(...SORTABLE), descending: fc.boolean() }),
  { maxLength: 4, selector: ({ field }) => field },
);
const sortText = (list: readonly Order[]): Query =>
  list.length === 0
    ? {}
    : { sort: list.map(({ field, descending }) => (descending ? '-' : '') + field).join(',') };

const filterText = (field: Sortable, value: FilterValue): Query => ({
  [field]: value === null ? '' : String(value),
});

describe('pages', () => {
  it('are the sorted list, cut, whatever the sort and the page size', async () => {
    await fc.assert(
      fc.asyncProperty(
        rowsOf({ minLength: 0, maxLength: 30 }),
        orders,
        fc.integer({ min: 1, max: 12 }),
        async (rows, order, limit) => {
          await sample.db.query(`TRUNCATE ${sample.db.table('sample__v1')}`);
          await sample.put(rows);
          const query = { ...sortText(order), limit: String(limit) };
          const seen: SampleRow[] = [];
          for (let next: string | null | undefined; next !== null;) {
            const got = await page(next === undefined ? query : { ...query, page: next });
            expect(got.items.length).toBeLessThanOrEqual(limit);
            expect(got.next === null || got.items.length === limit).toBe(true);
            seen.push(...got.items);
            next = got.next;
          }
          expect(seen).toEqual(sorted(rows, order));
        },
      ),
      { numRuns: 120 },
    );
  });

  it('of a filter are those rows only, also where the filter is null', async () => {
    await fc.assert(
      fc.asyncProperty(
        rowsOf({ minLength: 1, maxLength: 25 }),
        orders,
        fc.constantFrom<Sortable>('name', 'note', 'amount', 'ratio', 'flag', 'extra'),
        fc.nat(),
        async (rows, order, field, pick) => {
          await sample.db.query(`TRUNCATE ${sample.db.table('sample__v1')}`);
          await sample.put(rows);
          const example = rows[pick % rows.length] ?? sampleRow('none');
          const value = valueIn(example, field);
          // An empty text cannot be asked for where null can.
          fc.pre(!(value === '' && field !== 'name'));
          const query = { ...sortText(order), ...filterText(field, value), limit: '4' };
          const seen: SampleRow[] = [];
          for (let next: string | null | undefined; next !== null;) {
            const got = await page(next === undefined ? query : { ...query, page: next });
            seen.push(...got.items);
            next = got.next;
          }
          expect(seen).toEqual(
            sorted(
              rows.filter((one) => valueIn(one, field) === value),
              order,
            ),
          );
        },
      ),
      { numRuns: 120 },
    );
  });

  it('show each row that nobody touches once, while others come and go between them', async () => {
    await fc.assert(
      fc.asyncProperty(
        rowsOf({ minLength: 8, maxLength: 40 }),
        orders,
        fc.array(fc.nat(), { minLength: 20, maxLength: 20 }),
        async (all, order, choices) => {
          await sample.db.query(`TRUNCATE ${sample.db.table('sample__v1')}`);
          const stay = all.filter((_one, at) => at % 2 === 0);
          const others = all.filter((_one, at) => at % 2 === 1);
          await sample.put(stay);
          const present = new Set<string>();
          const query = { ...sortText(order), limit: '3' };
          const seen = await allPages(query, async (step) => {
            const other = others[(choices[step % choices.length] ?? 0) % Math.max(1, others.length)];
            if (!other) return;
            if (present.delete(other.id)) return sample.remove([other.id]);
            present.add(other.id);
            await sample.put([other]);
          });
          const kept = new Set(stay.map(({ id }) => id));
          expect(seen.filter(({ id }) => kept.has(id))).toEqual(sorted(stay, order));
        },
      ),
      { numRuns: 120 },
    );
  });

  it('are cut where their rows get too large, and go on with the next', async () => {
    const rows = Array.from({ length: 40 }, (_one, n) =>
      sampleRow(`k${String(n).padStart(2, '0')}`, { secret: 'x'.repeat(500_000) }),
    );
    await sample.put(rows);
    const first = await page({ limit: '40' });
    expect(first.items.length).toBeGreaterThan(1);
    expect(first.items.length).toBeLessThan(40);
    const seen = await allPages({ limit: '40' });
    expect(seen.map(({ id }) => id)).toEqual(rows.map(({ id }) => id));
  });
});
