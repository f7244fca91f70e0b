/** Gives others a turn of the event loop when it is time to. */

/** @param ms of work between two turns */
export function turnEvery(ms: number): () => Promise<void> {
  let last = performance.now();
  return async () => {
    if (performance.now() - last < ms) return;
    await new Promise(setImmediate);
    last = performance.now();
  };
}
