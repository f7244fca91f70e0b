/** Waiting: between two tries, and for an answer that may never come. */

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
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`connection gave no answer for ${ms} ms`)), ms);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
