/** Names of definitions and ids of data: what is taken, what is refused, and why it says so. */
import { readdirSync, readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { jsonSchemaOf } from '../../../src/domain/fields.js';
import {
  checkFieldName,
  checkName,
  checkProjectionName,
  checkTypeName,
  idFault,
  idText,
  OWN_TABLES,
} from '../../../src/domain/identifiers.js';

const MIGRATIONS = new URL('../../../migrations/', import.meta.url);

describe('ids', () => {
  test.each([
    ['', 'blank'],
    [' \t', 'control'],
    ['\u00a0\u2003\ufeff', 'blank'],
    ['a\u0000', 'control'],
    ['a\u007f', 'control'],
    ['a\u0085', 'control'],
    ['\ud800', 'surrogates'],
    ['a\udc00b', 'surrogates'],
    ['x'.repeat(201), '200 code points'],
    ['🦆'.repeat(201), '200 code points'],
    ['\u0000'.repeat(1_000_000), '200 code points'],
  ])('%j is refused', (text, why) => {
    expect(idFault(text)).toContain(why);
    expect(idText().safeParse(text).success).toBe(false);
  });

  test.each([
    'a',
    ' a ',
    'o-1',
    'x'.repeat(200),
    '🦆'.repeat(200),
    'é',
    'e\u0301',
    '..',
    '%2F/',
    '__proto__',
  ])('%j is taken as it is', (text) => {
    expect(idFault(text)).toBeUndefined();
    expect(idText().parse(text)).toBe(text);
  });

  test('the rule, for any text', () => {
    const anyUnits = fc
      .array(fc.oneof(fc.integer({ min: 0, max: 0xffff }), fc.integer({ min: 0x20, max: 0x7e })), {
        maxLength: 420,
      })
      .map((units) => String.fromCharCode(...units));
    fc.assert(
      fc.property(anyUnits, (text) => {
        const points = [...text];
        const good =
          points.length <= 200 &&
          text.trim().length > 0 &&
          points.every((point) => {
            const code = point.codePointAt(0) ?? 0;
            const control = code < 0x20 || (code >= 0x7f && code <= 0x9f);
            return !control && !(code >= 0xd800 && code <= 0xdfff);
          });
        expect(idFault(text) === undefined).toBe(good);
      }),
      { numRuns: 2_000 },
    );
  });

  test('the schema tells its limits in code points, as JSON Schema counts', () => {
    expect(jsonSchemaOf('x', idText(), 'input')).toMatchObject({
      type: 'string',
      minLength: 1,
      maxLength: 200,
    });
  });
});

describe('names of definitions', () => {
  test.each(['order', 'a', 'order_2', `a${'b'.repeat(39)}`])('%s', (name) => {
    expect(() => checkName('aggregate', name)).not.toThrow();
  });

  test.each(['', 'Order', '1a', '_a', 'a-b', 'a b', 'a.b', `a${'b'.repeat(40)}`, 'ä', 'a\n', '__proto__'])(
    '%j is refused with what was expected',
    (name) => {
      expect(() => checkName('aggregate', name)).toThrow(/aggregate name ".*": expected \^\[a-z\]/);
    },
  );

  test('a name that objects have of themselves is refused', () => {
    expect(() => checkName('aggregate', 'constructor')).toThrow(/objects/);
    for (const name of ['constructor', 'toString', 'valueOf', 'hasOwnProperty']) {
      expect(() => checkFieldName('row', name)).toThrow(/objects/);
      expect(() => checkTypeName('event', name)).toThrow(/objects/);
    }
  });

  test('no text at all is refused too', () => {
    expect(() => checkName('aggregate', undefined as unknown as string)).toThrow(/expected/);
    expect(() => checkTypeName('event', 7 as unknown as string)).toThrow(/expected/);
  });
});

describe('fields', () => {
  test.each(['sort', 'limit', 'page', 'after', 'wait'])('%s is a query parameter', (name) => {
    expect(() => checkFieldName('projection p', name)).toThrow(
      `projection p: field "${name}" collides with a query parameter; reserved are sort, limit, page, after, wait`,
    );
  });

  test.each(['ctid', 'xmin', 'xmax', 'cmin', 'cmax', 'tableoid'])('%s is a column of every table', (name) => {
    expect(() => checkFieldName('projection p', name)).toThrow(/Postgres gives every table/);
  });

  test.each(['_rev', 'order-id', 'Order', '1st', ''])('%j is no field name', (name) => {
    expect(() => checkFieldName('projection p', name)).toThrow(/expected \^\[a-z\]\[a-zA-Z/);
  });

  test.each(['orderId', 'order_id', 'a1', 'limits'])('%s is one', (name) => {
    expect(() => checkFieldName('projection p', name)).not.toThrow();
  });
});

describe('projection names are also views in Postgres', () => {
  test('every table that the migrations make is reserved', () => {
    const made = readdirSync(MIGRATIONS).flatMap((file) =>
      [
        ...readFileSync(new URL(file, MIGRATIONS), 'utf8').matchAll(
          /CREATE (?:UNLOGGED )?(?:TABLE|VIEW|SEQUENCE)(?: IF NOT EXISTS)? :schema\.(\w+)/gi,
        ),
      ].map(([, name]) => name ?? ''),
    );
    expect(made).toContain('events');
    expect(OWN_TABLES).toEqual(expect.arrayContaining(made));
  });

  test.each(['events', 'migrations', 'order_summary__v1', 'changes_order', 'a__v12'])('%s', (name) => {
    expect(() => checkProjectionName(name)).toThrow(/collides with a table/);
  });

  test.each(['order_summary', 'event', 'change', 'a__v', 'a_v1', 'changes2'])('%s is free', (name) => {
    expect(() => checkProjectionName(name)).not.toThrow();
  });
});
