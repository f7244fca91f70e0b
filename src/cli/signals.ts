/**
 * Ctrl-C and its kin. npm passes on the signals that the terminal has sent to the whole group already, so the same
 * Ctrl-C arrives twice: what comes within a moment counts as one.
 */

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
const SAME_MS = 700;

export interface Signals {
  /** Resolves with the first signal. */
  readonly first: Promise<NodeJS.Signals>;
  ignore(): void;
}

/** @param again called on a signal that comes when the first one is being obeyed already */
export function listenToSignals(again: (signal: NodeJS.Signals) => void): Signals {
  let at: number | undefined;
  let handler: (signal: NodeJS.Signals) => void = () => undefined;
  const first = new Promise<NodeJS.Signals>((resolve) => {
    handler = (signal) => {
      const now = performance.now();
      if (at === undefined) {
        at = now;
        resolve(signal);
      } else if (now - at > SAME_MS) again(signal);
    };
  });
  for (const signal of SIGNALS) process.on(signal, handler);
  return {
    first,
    ignore() {
      for (const signal of SIGNALS) process.off(signal, handler);
    },
  };
}
