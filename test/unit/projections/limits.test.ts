/** What a row and a part must keep to; each is told by one fold alone, whatever the others make. */
import { aggregate, projection } from 'tidemark';
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import type { Part } from '../../../src/domain/parts.js';
import type { ProjectionSource, RowValue } from '../../../src/domain/projection.js';
import { rowToJson } from '../../../src/projections/columns.js';
import { partFault, rowFault } from '../../../src/projections/limits.js';

const Person = aggregate('person', {
  state: z.object({}),
  initial: {},
  events: { Named: z.object({}) },
  commands: {},
})
  .evolve({ Named: () => ({}) })
  .decide({});
const Task = aggregate('task', {
  state: z.object({}),
  initial: {},
  events: { Given: z.object({}) },
  commands: {},
})
  .evolve({ Given: () => ({}) })
  .decide({});

const base = projection('tasks', {
  version: 1,
  row: z.object({ id: z.string(), who: z.string(), text: z.string(), name: z.string(), note: z.string() }),
  key: 'id',
  indexes: [['text', 'name']],
});
const plain = base.on(Task, { fold: { Given: () => null } });
const joined = base
  .join(Person, { by: 'who', none: { name: '', note: '' }, fold: { Named: () => null } })
  .on(Task, { fold: { Given: () => null } });

const row = (text: string, name = ''): RowValue => ({ id: 'a', who: 'p', text, name, note: '' });
const faultOf = (one: typeof plain | typeof joined, value: RowValue): string | undefined =>
  rowFault(one, value, rowToJson(one, value));
function faultOfPart(columns: RowValue, own: RowValue | null = null): string | undefined {
  const source: ProjectionSource | undefined = joined.sources[0];
  const part: Part = { version: 1, columns, row: own, since: '' };
  return source && partFault(joined, source, part);
}

describe('indexed texts', () => {
  test('have 2,500 bytes together; where an index has joined ones, these have 1,000 of them', () => {
    expect(faultOf(plain, row('x'.repeat(2_400), 'y'.repeat(99)))).toBeUndefined();
    expect(faultOf(plain, row('x'.repeat(2_400), 'y'.repeat(100)))).toMatch(
      /text, name, id have 2501 bytes together; expected at most 2500/,
    );
    expect(faultOf(joined, row('x'.repeat(1_499)))).toBeUndefined();
    expect(faultOf(joined, row('x'.repeat(1_500)))).toMatch(
      /text, id have 1501 bytes together; expected at most 1500/,
    );
    expect(faultOfPart({ name: 'y'.repeat(1_000), note: '' })).toBeUndefined();
    expect(faultOfPart({ name: 'y'.repeat(1_001), note: '' })).toMatch(
      /name have 1001 bytes together; expected at most 1000/,
    );
  });

  test('of joins do not count for a row that is put together', () => {
    expect(faultOf(joined, row('x'.repeat(1_499), 'y'.repeat(1_000)))).toBeUndefined();
  });
});

describe('sizes', () => {
  test('a row has 512 KiB, less 16 for each join; a part 16', () => {
    expect(faultOf(plain, { ...row(''), note: 'x'.repeat(520_000) })).toBeUndefined();
    expect(faultOf(plain, { ...row(''), note: 'x'.repeat(525_000) })).toMatch(/expected at most 524288/);
    expect(faultOf(joined, { ...row(''), note: 'x'.repeat(520_000) })).toMatch(/expected at most 507904/);
    expect(faultOfPart({ name: '', note: 'x'.repeat(16_000) })).toBeUndefined();
    expect(faultOfPart({ name: '', note: 'x'.repeat(16_400) })).toMatch(/expected at most 16384/);
    expect(faultOfPart({ name: '', note: '' }, row('x'.repeat(2_000)))).toMatch(/expected at most 1500/);
  });

  test('texts that Postgres cannot hold are found in both', () => {
    expect(faultOf(plain, row('\u0000'))).toMatch(/row field \/text: expected a text without NUL/);
    expect(faultOfPart({ name: '\ud800', note: '' })).toMatch(
      /joined column \/name: expected a text without unpaired/,
    );
  });
});
