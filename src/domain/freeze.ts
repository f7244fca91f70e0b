/** Freezing, so that a handler that writes into what it was given fails where it does so. */

/** Freezes a JSON value all the way down. What is frozen already is taken to be so below too, which keeps repeats cheap. */
export function deepFreeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return value;
  Object.freeze(value);
  for (const inner of Object.values(value)) deepFreeze(inner);
  return value;
}
