/** Says how two JSON values differ. Built on node:assert, so that any test runner can show it. */
import { AssertionError, deepStrictEqual } from 'node:assert';

/** A value as JSON carries it: what is `undefined` is absent. */
export const asJson = (value: unknown): unknown =>
  value === undefined ? undefined : (JSON.parse(JSON.stringify(value)) as unknown);

/** @throws AssertionError with `what` and a line-by-line difference */
export function expectSame(what: string, actual: unknown, expected: unknown): void {
  const [left, right] = [asJson(actual), asJson(expected)];
  try {
    deepStrictEqual(left, right);
  } catch (difference) {
    const detail = difference instanceof Error ? difference.message : String(difference);
    throw new AssertionError({
      message: `${what}\n${detail}`,
      actual: left,
      expected: right,
      // Not `deepStrictEqual`: newer Nodes put a difference of their own below the message of such an error.
      operator: 'same',
    });
  }
}

/** @throws AssertionError with `message` */
export function fail(message: string, actual?: unknown, expected?: unknown): never {
  throw new AssertionError({ message, actual, expected, operator: 'fail' });
}
