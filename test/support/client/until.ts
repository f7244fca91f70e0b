/** Waiting for what a live view shows: looked at on every change of it. */

interface Watched {
  subscribe(listener: () => void): () => void;
}

const LOOK_MS = 5;

/**
 * @param store asked at each of its changes; undefined: there is no signal, so that the condition is polled
 * @throws Error when it takes longer than a minute
 */
export function until(store: Watched | undefined, condition: () => boolean): Promise<void> {
  return new Promise((resolve, reject) => {
    const end = (): void => {
      clearTimeout(deadline);
      clearInterval(polling);
      unsubscribe?.();
    };
    const look = (): void => {
      if (!condition()) return;
      end();
      resolve();
    };
    const deadline = setTimeout(() => {
      end();
      reject(new Error(`this did not come to be: ${condition.toString()}`));
    }, 60_000);
    const polling = store ? undefined : setInterval(look, LOOK_MS);
    const unsubscribe = store?.subscribe(look);
    look();
  });
}
