/** Query strings as input of a named query: what each type of the schema makes of a text. */
import { query } from 'tidemark';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { parametersOf } from '../../../src/queries/parameters.js';
import { inputReader } from '../../../src/queries/query-input.js';
import { Sample } from '../../support/sample-view.js';

const read = inputReader(
  query('typed', {
    input: z.object({
      text: z.string().optional(),
      maybe: z.string().nullable().optional(),
      whole: z.int().default(1),
      real: z.number().nullable().optional(),
      yes: z.boolean().optional(),
      kind: z.enum(['a', 'b']).optional(),
      wholes: z.array(z.int()).optional(),
      texts: z.array(z.string()).nullable().optional(),
      either: z.union([z.int(), z.string()]).optional(),
      nested: z.object({ a: z.int() }).optional(),
    }),
    output: z.object({}),
    reads: [Sample],
  }).handle(() => ({})),
);
const from = (given: Record<string, string | string[]>): unknown => read(parametersOf(given));

describe('input from a query string', () => {
  it('has the types of the schema', () => {
    expect(from({ text: '1', whole: '2', real: '2.5', yes: 'true', kind: 'a' })).toEqual({
      text: '1',
      whole: 2,
      real: 2.5,
      yes: true,
      kind: 'a',
    });
  });
  it('makes arrays of parameters that are repeated, and of a single one too', () => {
    expect(from({ wholes: ['1', '2'], texts: '7' })).toEqual({ wholes: [1, 2], texts: ['7'] });
  });
  it('reads nested input as JSON', () => {
    expect(from({ nested: '{"a":1}', either: '5' })).toEqual({ nested: { a: 1 }, either: 5 });
    expect(from({ nested: '{"a":', either: 'x' })).toEqual({ nested: '{"a":', either: 'x' });
  });
  it('means null by an empty value only where null is allowed', () => {
    expect(from({ text: '', maybe: '', real: '', whole: '' })).toEqual({
      text: '',
      maybe: null,
      real: null,
      whole: '',
    });
  });
  it('leaves what fits no type, what is unknown and what is repeated to the schema’s check', () => {
    expect(from({ whole: 'x', yes: '1', other: 'y', text: ['a', 'b'] })).toEqual({
      whole: 'x',
      yes: '1',
      other: 'y',
      text: ['a', 'b'],
    });
  });
  it('leaves out the parameters of the route', () => {
    expect(from({ after: 'token', wait: '5', text: 'a' })).toEqual({ text: 'a' });
  });
  it('keeps names that objects have of themselves as plain names', () => {
    const input = read(parametersOf(JSON.parse('{"__proto__":"x","constructor":"y"}')));
    expect(Object.getPrototypeOf(input)).toBe(Object.prototype);
    expect(Object.keys(input).sort()).toEqual(['__proto__', 'constructor']);
  });
});
