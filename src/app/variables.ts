/** How a variable of the environment is read: text in, a value out, or what was expected. */
import { z } from 'zod';

/**
 * A variable is text; `read` makes its value, or undefined where the text is wrong.
 * @param hint what is most likely wrong with such a text, if that can be told; without secrets
 */
export function variable<T>(
  expected: string,
  description: string,
  read: (text: string) => T | undefined,
  hint: (text: string) => string | undefined = () => undefined,
) {
  return rawVariable(
    expected,
    description,
    (text) => read(text.trim()),
    (text) => hint(text.trim()),
  );
}

/** The same where spaces around it belong to the value. */
export function rawVariable<T>(
  expected: string,
  description: string,
  read: (text: string) => T | undefined,
  hint: (text: string) => string | undefined = () => undefined,
) {
  return z
    .string()
    .transform((text, context): T => {
      const value = read(text);
      if (value !== undefined) return value;
      const why = hint(text);
      context.addIssue({
        code: 'custom',
        message: `expected ${expected}${why === undefined ? '' : `; ${why}`}`,
      });
      return z.NEVER;
    })
    .meta({ description, expected });
}

export const integer = (expected: string, description: string, min: number, max: number) =>
  variable(expected, description, (text) => {
    const value = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN;
    return value >= min && value <= max ? value : undefined;
  });

/** A comma-separated list without repeats, each item made by `item`. */
export const list = <T>(
  expected: string,
  description: string,
  item: (text: string) => T | undefined,
  hint?: (text: string) => string | undefined,
) =>
  variable(
    expected,
    description,
    (text): readonly T[] | undefined => {
      const items = text.split(',').map((part) => item(part.trim()));
      return items.every((one) => one !== undefined) ? Object.freeze([...new Set(items)]) : undefined;
    },
    hint,
  );

export const oneOf = <T extends string>(options: readonly T[], text: string): T | undefined =>
  options.find((option) => option === text);
