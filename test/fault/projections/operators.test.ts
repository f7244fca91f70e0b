/** Operators at work beside projectors: they pause and resume, replay and skip at random, several at once, and break nothing. */
import { expect, it, onTestFinished } from 'vitest';
import { isTidemarkError } from '../../../src/platform/errors.js';
import { readCheckpoints } from '../../../src/projections/checkpoints.js';
import { replayParked, skipParked } from '../../../src/projections/parked/operations.js';
import { pauseProjection, resumeProjection } from '../../../src/projections/versions/pausing.js';
import { freshDatabase } from '../../support/postgres.js';
import { startProjecting } from '../../support/projecting.js';
import { randomFrom } from '../../support/random.js';
import { mendedApp, parking, torn } from '../../support/tearing/app.js';
import { mendedFaults, tornFaults } from '../../support/tearing/faults.js';
import { Season } from '../../support/tearing/season.js';

const ROUNDS = 20;
/** At the most, where something was not done yet. */
const MAX_ROUNDS = 100;

it('whatever operators do, every row is a fold of what is in, and comes back whole', async () => {
  const seed = Date.now() % 1_000_000;
  const below = randomFrom(seed);
  const pg = await freshDatabase();
  onTestFinished(() => pg.drop());
  const one = await startProjecting(pg.url, torn, { idle: true, beatMs: 50 });
  onTestFinished(() => one.stop());
  const workers = await Promise.all(
    [7, 200].map((maxBatch) => startProjecting(pg.url, torn, { beatMs: 50, tuning: { maxBatch } })),
  );
  onTestFinished(async () => {
    for (const worker of workers) await worker.stop();
  });
  const { db } = one;
  const season = new Season(one.store, below, { badOneIn: 12 });
  const done = { paused: 0, replayed: 0, skipped: 0 };

  /** What an operator is told no to: somebody else was there first. */
  const unlessTold = async (work: Promise<unknown>, ...codes: string[]): Promise<boolean> => {
    try {
      await work;
      return true;
    } catch (error) {
      if (codes.some((code) => isTidemarkError(error, code))) return false;
      throw error;
    }
  };
  const parkedKey = async (name: string): Promise<string | undefined> => {
    const keys = await db.query<[string]>(
      `SELECT key FROM tidemark.parked WHERE projection = $1 ORDER BY key`,
      [name],
    );
    // Mostly the first, so that operators meet.
    return keys[below(3) > 0 ? 0 : below(Math.max(1, keys.length))]?.[0];
  };
  const standing = async (version: { name: string; version: number }): Promise<string[]> =>
    (await readCheckpoints(db, [version])).map((point) => JSON.stringify(point)).toSorted();
  const operate = async (): Promise<void> => {
    const projection = parking[below(parking.length)] ?? parking[0];
    const key = await parkedKey(projection.name);
    const dice = below(5);
    if (dice === 0) {
      const paused = torn.projections[below(torn.projections.length)] ?? projection;
      if (!(await unlessTold(pauseProjection(db, paused), 'wrong_state'))) return;
      done.paused++;
      const before = await standing(paused);
      await season.act();
      await season.act();
      // Not a batch more, also not one that was under way.
      expect(await standing(paused)).toEqual(before);
      await resumeProjection(db, paused);
    } else if (key !== undefined && dice === 1) {
      if (
        await unlessTold(
          skipParked({ db, projection }, { part: '', key }, 'at random'),
          'not_parked',
          'wrong_state',
        )
      )
        done.skipped++;
    } else if (key !== undefined) {
      if (await unlessTold(replayParked({ db, projection }, { part: '', key }), 'not_parked', 'wrong_state'))
        done.replayed++;
    }
  };
  const least = (): number => Math.min(done.paused, done.replayed, done.skipped);
  for (let round = 0; round < ROUNDS || (round < MAX_ROUNDS && least() === 0); round++) {
    await Promise.all([season.act(), operate(), operate(), operate()]);
    if (round % 5 === 4) await one.caughtUp();
  }
  await one.caughtUp();
  // With the folds that the operators replay with.
  const faults = await tornFaults(db, one.store, mendedApp, { parked: true });
  expect({ seed, faults }).toEqual({ seed, faults: [] });
  for (const worker of workers) await worker.stop();
  expect({ seed, faults: await mendedFaults(db, one.store, { skipped: true }) }).toEqual({
    seed,
    faults: [],
  });
  const left = await db.query('SELECT FROM tidemark.parked');
  expect(left).toEqual([]);
  expect(least()).toBeGreaterThan(0);
}, 120_000);
