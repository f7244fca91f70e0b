/** Waiting: between two tries, and for an answer that may never come. */
import { endedWithin } from '../platform/pause.js';

const FIRST_PAUSE_MS = 5;
const LONGEST_PAUSE_MS = 500;

/** Resolves after a jittered pause that doubles with each attempt, half a second at the most. */
export const pause = (attempt: number): Promise<void> =>
  new Promise((resolve) =>
    setTimeout(
      resolve,
      (0.5 + Math.random() / 2) * Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** Math.min(attempt, 10)),
    ),
  );

/** What `promise` gives, or a rejection after `ms`: then nobody knows what becomes of it. */
export async function within<T>(ms: number, promise: Promise<T>): Promise<T> {
  if (await endedWithin(promise, ms)) return promise;
  throw new Error(`connection gave no answer for ${ms} ms`);
}
