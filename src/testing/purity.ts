/** Finds a handler that looks at the clock or rolls dice: replayed, it would give something else. */

type Forbid = (what: string) => never;

/** A Date that still reads the times it is given, but has none of its own. */
const dateWithoutNow = (real: DateConstructor, forbid: Forbid): DateConstructor =>
  new Proxy(real, {
    apply: () => forbid('the clock (Date())'),
    construct: (target, given: unknown[], newTarget) =>
      given.length === 0 ? forbid('the clock (new Date())') : Reflect.construct(target, given, newTarget),
    get: (target, name) =>
      name === 'now' ? () => forbid('the clock (Date.now)') : (Reflect.get(target, name) as unknown),
  });

/** Puts `value` in the place of a method and returns what puts the method back. */
function replace<T extends object, K extends keyof T>(owner: T, name: K, value: T[K]): () => void {
  const before = Object.getOwnPropertyDescriptor(owner, name);
  Object.defineProperty(owner, name, { value, configurable: true, writable: true });
  return () => {
    if (before) Object.defineProperty(owner, name, before);
    else Reflect.deleteProperty(owner, name);
  };
}

/**
 * Runs a synchronous handler with `Date`’s clock, `Math.random` and `crypto.randomUUID` taken away.
 * @throws Error that names `where` when the handler reaches for one of them, or whatever the handler throws
 */
export function withoutClock<T>(where: string, handler: () => T): T {
  const forbid: Forbid = (what) => {
    throw new Error(`${where} must be pure: it used ${what}; pass it in as input, context or event data`);
  };
  const undo = [
    replace(globalThis, 'Date', dateWithoutNow(globalThis.Date, forbid)),
    replace(Math, 'random', () => forbid('Math.random')),
    replace(globalThis.crypto, 'randomUUID', () => forbid('crypto.randomUUID')),
  ];
  try {
    return handler();
  } finally {
    for (const putBack of undo) putBack();
  }
}
