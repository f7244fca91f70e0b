/** Waiting for what nothing tells of: asked again and again, up to a time. */
const AGAIN_MS = 50;

/** @param what it is, for the error @throws Error after the time */
export async function eventually(
  what: string,
  holds: () => Promise<boolean>,
  timeoutMs = 120_000,
): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  while (!(await holds())) {
    if (Date.now() >= deadline) throw new Error(`not within ${timeoutMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
  }
}

/** A pace that a fault needs: consumers that come and go every second. */
export const pace = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
