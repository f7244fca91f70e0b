/** Bindings: the same read gives the same text, another one never does. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { canonicalBinding, changeLogName, type CursorBinding } from '../../../src/protocol/positions.js';

const value = fc.oneof(fc.string(), fc.double({ noNaN: true }), fc.boolean(), fc.constant(null));
const binding: fc.Arbitrary<CursorBinding> = fc.record(
  {
    view: fc.constantFrom('a', 'b', 'order_summary'),
    key: fc.string(),
    where: fc.dictionary(fc.constantFrom('x', 'y', 'customerId'), value),
    scope: fc.string(),
  },
  { requiredKeys: ['view'] },
);

/** What makes two bindings the same, said in another way: absent is not null, and the order of fields does not count. */
const meaning = ({ view, key, where, scope }: CursorBinding): string =>
  JSON.stringify({
    view,
    key: key === undefined ? [] : [key],
    where:
      where === undefined
        ? []
        : [
            Object.keys(where)
              .sort()
              .map((name) => [name, where[name]]),
          ],
    scope: scope === undefined ? [] : [scope],
  });

test('the text is the same if and only if the binding is', () => {
  fc.assert(
    fc.property(binding, binding, (a, b) => {
      expect(canonicalBinding(a) === canonicalBinding(b)).toBe(meaning(a) === meaning(b));
      const turned = a.where && Object.fromEntries(Object.entries(a.where).reverse());
      expect(canonicalBinding(turned ? { ...a, where: turned } : a)).toBe(canonicalBinding(a));
    }),
    { numRuns: 2_000 },
  );
});

test('a change log is named by projection and version', () => {
  expect(changeLogName('order_summary', 1)).toBe('order_summary.v1');
});
