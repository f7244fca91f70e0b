/** COPY's text form: what is written comes back, however it is cut into pieces. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { copyField, CopyLines, copyText, quoteLiteral } from '../../../src/platform/postgres/copy.js';

const text = fc.oneof(
  fc.string({ unit: 'grapheme' }),
  fc.string({ unit: fc.constantFrom('\\', '\n', '\r', '\t', 'n', 'N', '.', '"', 'é', '🦑') }),
);

test('a field that was written is read as it was', () => {
  fc.assert(
    fc.property(text, (value) => {
      expect(copyText(copyField(value))).toBe(value);
    }),
  );
});

test('a written field has neither the end of a field nor that of a line', () => {
  fc.assert(
    fc.property(text, (value) => {
      expect(copyField(value)).not.toMatch(/[\t\n\r]/);
    }),
  );
});

test('escapes of Postgres are read, also those that are never written here', () => {
  expect(copyText('a\\bb\\fc\\vd\\\\e\\.')).toBe('a\bb\fc\vd\\e.');
});

test('lines come whole, wherever the pieces are cut', () => {
  const pieces = fc.record({ lines: fc.array(text), cuts: fc.array(fc.nat()) });
  fc.assert(
    fc.property(pieces, ({ lines, cuts }) => {
      const written = lines.map(copyField);
      const bytes = Buffer.from(written.map((line) => `${line}\n`).join(''));
      const at = [...new Set([0, ...cuts.map((cut) => cut % (bytes.length + 1)), bytes.length])];
      at.sort((a, b) => a - b);
      const reader = new CopyLines();
      const read = at.slice(1).flatMap((end, n) => reader.push(bytes.subarray(at[n], end)));
      expect(read).toEqual(written);
    }),
  );
});

test('a literal is quoted', () => {
  expect(quoteLiteral("it's")).toBe("'it''s'");
  expect(quoteLiteral('back\\slash')).toBe(" E'back\\\\slash'");
});
