/** Postgres stops at once, by kill -9 and by an immediate shutdown, while projectors write, and starts again. */
import { expect, it, onTestFinished } from 'vitest';
import { startEmbeddedPostgres } from '../../../src/app/embedded/postgres.js';
import { silentLogger } from '../../../src/platform/logger.js';
import type { Database } from '../../../src/platform/postgres/database.js';
import { isUnavailable } from '../../../src/platform/postgres/sqlstate.js';
import { projectFolder } from '../../support/embedded.js';
import { serverPid } from '../../support/server-pid.js';
import { startProjecting } from '../../support/projecting.js';
import { randomFrom } from '../../support/random.js';
import { torn } from '../../support/tearing/app.js';
import { mendedFaults, tornFaults } from '../../support/tearing/faults.js';
import { Season } from '../../support/tearing/season.js';

it('what was in is in, and the rest comes in', async () => {
  const seed = Date.now() % 1_000_000;
  const below = randomFrom(seed);
  const postgres = await startEmbeddedPostgres({ projectDir: await projectFolder(), logger: silentLogger });
  onTestFinished(() => postgres.stop());
  const one = await startProjecting(postgres.url, torn, { idle: true, beatMs: 50 });
  onTestFinished(() => one.stop());
  let wrote: () => void = () => undefined;
  const nothing = (): void => undefined;
  const observer = { wrote: () => wrote(), conflict: nothing, halted: nothing };
  const workers = await Promise.all(
    [5, 500].map((maxBatch) =>
      startProjecting(postgres.url, torn, { beatMs: 50, observer, tuning: { maxBatch } }),
    ),
  );
  onTestFinished(async () => {
    for (const worker of workers) await worker.stop();
  });
  const season = new Season(one.store, below, { badOneIn: 60, failed: nothing });
  let over = false;
  onTestFinished(() => void (over = true));
  for (const signal of ['SIGKILL', 'SIGQUIT'] as const) {
    const pid = await serverPid(postgres.dataDir);
    let killed = false;
    const acting = (async () => {
      while (!killed && !over) {
        await season.act();
        // What is refused at once is no wait at all, in which nothing else would get its turn.
        await new Promise(setImmediate);
      }
    })();
    // In the middle of writes: right after one of them.
    for (let left = 5 + below(20); left > 0; left--) await new Promise<void>((resolve) => (wrote = resolve));
    process.kill(pid, signal);
    killed = true;
    await acting;
    // Backends of the one that was killed may answer for a moment more: the next round is not to kill what is gone.
    const isNew = (): Promise<boolean> =>
      serverPid(postgres.dataDir).then(
        (now) => now !== pid,
        () => false,
      );
    await expect.poll(async () => (await isNew()) && isServed(one.db), { timeout: 60_000 }).toBe(true);
  }
  for (let n = 0; n < 5; n++) await season.act();
  await one.caughtUp();
  const faults = await tornFaults(one.db, one.store, torn, { parked: true });
  expect({ seed, faults }).toEqual({ seed, faults: [] });
  for (const worker of workers) await worker.stop();
  expect({ seed, faults: await mendedFaults(one.db, one.store) }).toEqual({ seed, faults: [] });
}, 120_000);

/** Whether Postgres answers again. @throws what is no outage */
async function isServed(db: Database): Promise<boolean> {
  try {
    await db.query('SELECT 1');
    return true;
  } catch (error) {
    if (isUnavailable(error)) return false;
    throw error;
  }
}
