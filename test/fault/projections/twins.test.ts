/** Several projectors on the same shards, each with every lease: only what the writes themselves prove keeps them apart. */
import { expect, it, onTestFinished } from 'vitest';
import { torn } from '../../support/tearing/app.js';
import { mendedFaults, tornFaults } from '../../support/tearing/faults.js';
import { Season } from '../../support/tearing/season.js';
import { startTwin, Twins, type Twin } from '../../support/tearing/twin.js';
import { freshDatabase } from '../../support/postgres.js';
import { startProjecting } from '../../support/projecting.js';
import { randomFrom } from '../../support/random.js';

const ROUNDS = 30;
/** At the most, where they have hardly met yet, or never on the same row. */
const MAX_ROUNDS = 120;

it('twins count every event once, while they come and go', async () => {
  const seed = Date.now() % 1_000_000;
  const below = randomFrom(seed);
  const pg = await freshDatabase();
  onTestFinished(() => pg.drop());
  const one = await startProjecting(pg.url, torn, { idle: true, beatMs: 50 });
  onTestFinished(() => one.stop());
  const twins = new Twins();
  const running: Twin[] = [];
  onTestFinished(async () => {
    for (const twin of running) await twin.stop();
  });
  const start = async (): Promise<void> => {
    running.push(await startTwin(pg.url, torn, one.store, twins, below));
  };
  await start();
  await start();
  const season = new Season(one.store, below, { badOneIn: 40 });
  const met = (kind: string): number => twins.conflicts.get(kind) ?? 0;
  const haveMet = (): boolean => met('checkpoint') > 10 && met('row') > 0;
  for (let round = 0; round < ROUNDS || (round < MAX_ROUNDS && !haveMet()); round++) {
    await season.act();
    if (round % 10 === 9) await one.caughtUp();
    if (below(8) > 0) continue;
    // One more, or one less; at least two.
    if (running.length < 3) await start();
    else await running.splice(below(running.length), 1)[0]?.stop();
  }
  await one.caughtUp();
  const faults = await tornFaults(one.db, one.store, torn, { parked: true });
  expect({ seed, faults }).toEqual({ seed, faults: [] });
  for (const twin of running.splice(0)) await twin.stop();
  expect({ seed, faults: await mendedFaults(one.db, one.store) }).toEqual({ seed, faults: [] });
  // They really were in each other's way: else this test shows nothing.
  expect(met('checkpoint')).toBeGreaterThan(10);
  expect(met('row')).toBeGreaterThan(0);
  expect([...twins.conflicts.keys()].filter((kind) => kind.startsWith('halted'))).toEqual([]);
}, 120_000);
