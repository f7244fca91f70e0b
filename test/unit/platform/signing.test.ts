/** A position that left the process comes back as it was, or not at all. */
import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Signer } from '../../../src/platform/signing.js';

const key = randomBytes(32);
const signer = new Signer(key);

describe('a signed payload', () => {
  test('comes back as it was, URL-safe', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 3 }), (payload) => {
        const text = signer.sign(payload);
        expect(text).toMatch(/^[\w-]+\.[\w-]+$/);
        expect(new Signer(key).verify(text)).toEqual(JSON.parse(JSON.stringify(payload)));
      }),
    );
  });

  test('changed in any one character is not accepted', () => {
    const text = signer.sign({ kind: 'token', logs: { order: { epoch: 'e1', pos: [[1, 17]] } } });
    const other = fc.constantFrom(...'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.=/+ ');
    fc.assert(
      fc.property(fc.nat({ max: text.length - 1 }), other, (at, char) => {
        fc.pre(text[at] !== char);
        expect(signer.verify(text.slice(0, at) + char + text.slice(at + 1))).toBeUndefined();
      }),
      { numRuns: 1_000 },
    );
  });

  test('cut, lengthened, or put together from two is not accepted', () => {
    const [one, two] = [signer.sign({ n: 1 }), signer.sign({ n: 2 })];
    for (let length = 0; length < one.length; length++) {
      expect(signer.verify(one.slice(0, length))).toBeUndefined();
    }
    for (const more of ['A', '=', '.', '.AAAA', ' ']) {
      expect(signer.verify(one + more)).toBeUndefined();
      expect(signer.verify(more + one)).toBeUndefined();
    }
    expect(signer.verify(`${one.split('.')[0]}.${two.split('.')[1]}`)).toBeUndefined();
  });

  test('of another key is not accepted', () => {
    expect(new Signer(randomBytes(32)).verify(signer.sign({ n: 1 }))).toBeUndefined();
  });

  test('whatever text comes, nothing is thrown', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        expect(signer.verify(text)).toBeUndefined();
      }),
    );
    expect(signer.verify('x'.repeat(10_000_000))).toBeUndefined();
  });
});

test('a short key is refused', () => {
  expect(() => new Signer(randomBytes(31))).toThrow(/at least 32 bytes/);
});
