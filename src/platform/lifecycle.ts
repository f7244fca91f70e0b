/** One contract for everything that runs: `start` resolves when ready, `stop` when drained; both may be called twice. */

export interface Service {
  readonly name: string;
  start(): Promise<void>;
  stop(): Promise<void>;
}

/**
 * Makes `start` and `stop` safe to call twice and in any order; `stop` waits for a start under way. What was stopped
 * before it was started does not start any more (nobody would stop it): `start` rejects then.
 */
export function service(name: string, run: { start(): Promise<void>; stop(): Promise<void> }): Service {
  let starting: Promise<void> | undefined;
  let stopping: Promise<void> | undefined;
  return {
    name,
    start() {
      if (!starting && stopping)
        return Promise.reject(new Error(`${name} was stopped before it was started`));
      starting ??= run.start();
      return starting;
    },
    stop() {
      stopping ??= (async () => {
        if (!starting) return;
        await starting.catch(() => undefined);
        await run.stop();
      })();
      return stopping;
    },
  };
}
