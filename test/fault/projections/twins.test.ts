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
/** At the most, where two have not met on the same row yet. */
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
  for (let round = 0; round < ROUNDS || (round < MAX_ROUNDS && !twins.conflicts.has('row')); round++) {
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
  const { conflicts } = twins;
  expect(conflicts.get('checkpoint')).toBeGreaterThan(10);
  expect(conflicts.get('row')).toBeGreaterThan(0);
  expect([...conflicts.keys()].filter((kind) => kind.startsWith('halted'))).toEqual([]);
}, 120_000);
