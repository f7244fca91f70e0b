/**
 * Waiting: for work no longer than one wants to, with a signal that ends it early, and with times that spread out so that many
 * do not come back at once.
 */

/** A time between 0.5 and 1 of `ms`. */
export const jittered = (ms: number): number => ms * (0.5 + Math.random() * 0.5);

/** How long to wait after the nth failure in a row (from 0): doubling from `min` to `max`, jittered. Milliseconds. */
export const backoff = (attempt: number, min: number, max: number): number =>
  jittered(Math.min(max, min * 2 ** Math.min(attempt, 30)));

/** Resolves when `work` is done or has failed: for whoever was told of that already, or wants to know nothing of it. */
export const settled = (work: Promise<unknown>): Promise<void> =>
  work.then(
    () => undefined,
    () => undefined,
  );

/**
 * Waits for work, which goes on where it takes longer; how that ends, who wants to know has to ask `work`.
 * @returns whether it was done within `ms`; rejects as `work` does in that time
 */
export async function endedWithin(work: Promise<unknown>, ms: number): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<boolean>((resolve) => {
    timer = setTimeout(resolve, ms, false);
  });
  try {
    return await Promise.race([work.then(() => true), late]);
  } finally {
    clearTimeout(timer);
  }
}

/** A bell that one waits for. Rung while nobody waits, it ends the next wait at once; rung twice, it is rung once. */
export class Bell {
  #rung = false;
  #wake: (() => void) | undefined;

  ring(): void {
    this.#rung = true;
    this.#wake?.();
  }

  /** Resolves at the next ring, or after `ms` where given. One waits at a time. */
  async wait(ms?: number): Promise<void> {
    if (!this.#rung) {
      let timer: NodeJS.Timeout | undefined;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
        if (ms !== undefined) timer = setTimeout(resolve, ms);
      });
      clearTimeout(timer);
      this.#wake = undefined;
    }
    this.#rung = false;
  }
}
