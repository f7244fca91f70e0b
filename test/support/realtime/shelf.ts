/** An application whose view has a field of every kind to sort by, and what such a sort gives, told without Postgres. */
import { aggregate, defineApp, projection } from 'tidemark';
import { z } from 'zod';
import type { Subscribe } from './live-view.js';

const Book = z.object({
  name: z.string(),
  note: z.string().nullable(),
  amount: z.int().nullable(),
  ratio: z.number(),
  flag: z.boolean().nullable(),
  extra: z.string().optional(),
  size: z.string(),
});
export type Book = z.output<typeof Book>;
export type BookRow = Book & { readonly id: string };

const Shelved = aggregate('shelved', {
  state: z.object({ there: z.boolean() }),
  initial: { there: false },
  events: { Put: Book, Taken: z.object({}) },
  commands: { put: Book, take: z.object({}) },
})
  .evolve({ Put: () => ({ there: true }), Taken: () => ({ there: false }) })
  .decide({
    put: (_state, input, { emit }) => emit('Put', input),
    take: (_state, _input, { emit }) => emit('Taken', {}),
  });

export const Shelf = projection('shelf', {
  version: 1,
  row: Book.extend({ id: z.string() }),
  key: 'id',
  indexes: ['note', ['amount', 'ratio'], 'extra'],
  channels: ['name', ['name', 'flag']],
}).on(Shelved, { fold: { Put: (_row, { data }) => data, Taken: () => null } });

export const shelfApp = defineApp({
  auth: 'none',
  name: 'shelves',
  aggregates: [Shelved],
  projections: [Shelf],
  shards: 3,
});

export const book = (given: Partial<Book> = {}): Book => ({
  name: 'n',
  note: null,
  amount: null,
  ratio: 0,
  flag: null,
  size: '',
  ...given,
});

/** Texts whose order by UTF-16 is another than that by bytes. */
export const TEXTS = [
  '',
  'a',
  'B',
  'ab',
  'é',
  'z\u0301',
  '\ud7ff',
  '\ue000',
  '\uffff',
  '😀',
  '𐀀',
  '😀a',
] as const;

const SORTABLE = ['id', 'name', 'note', 'amount', 'ratio', 'flag', 'extra'] as const;

function rank(row: BookRow, name: string): string | number | null {
  const field = SORTABLE.find((one) => one === name);
  const value = field && row[field];
  if (value === null || value === undefined) return null;
  // Bytes of UTF-8 in hex sort as the bytes do.
  return typeof value === 'string' ? Buffer.from(value).toString('hex') : Number(value);
}

/** The first rows of a filter in an order. @param rows key → row */
export function firstBooks(rows: Iterable<BookRow>, { where, sort, limit = 50 }: Subscribe): BookRow[] {
  const fits = (row: BookRow): boolean =>
    (where?.['name'] === undefined || row.name === where['name']) &&
    (where?.['flag'] === undefined || row.flag === where['flag']);
  const order = (a: BookRow, b: BookRow): number => {
    for (const one of [...(sort?.split(',') ?? []), 'id']) {
      const [x, y] = [rank(a, one.replace('-', '')), rank(b, one.replace('-', ''))];
      if (x === y) continue;
      const isAfter = x === null || (y !== null && x > y);
      return isAfter === one.startsWith('-') ? -1 : 1;
    }
    return 0;
  };
  return [...rows].filter(fits).sort(order).slice(0, limit);
}
