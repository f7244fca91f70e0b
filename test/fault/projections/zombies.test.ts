/** Processes that stand still in the middle of their work, past the life of their leases, and come back: nothing of theirs counts. */
import { beforeEach, expect, it, onTestFinished } from 'vitest';
import { torn } from '../../support/tearing/app.js';
import { Crew } from '../../support/tearing/crew.js';
import { mendedFaults, tornFaults } from '../../support/tearing/faults.js';
import { Season } from '../../support/tearing/season.js';
import { freshDatabase } from '../../support/postgres.js';
import { startProjecting, type ProjectingProcess } from '../../support/projecting.js';
import { randomFrom } from '../../support/random.js';

let one: ProjectingProcess;
let crew: Crew;

beforeEach(async () => {
  const pg = await freshDatabase();
  one = await startProjecting(pg.url, torn, { idle: true, beatMs: 50 });
  crew = new Crew(pg.url);
  onTestFinished(async () => {
    await crew.stop();
    await one.stop();
    await pg.drop();
  });
});

it('a write that was folded before the standstill and is sent after it', async () => {
  const seed = Date.now() % 1_000_000;
  const season = new Season(one.store, randomFrom(seed));
  const [zombie] = await Promise.all([crew.start(), crew.start()]);
  const told: string[] = [];
  // The next write of whichever projection; a few times, so that it is now one of one stream, now one of many.
  for (let round = 0; round < 3; round++) {
    const from = zombie.lines.length;
    zombie.tell('hold');
    while (!zombie.lines.slice(from).some((line) => line.startsWith('held'))) await season.act();
    zombie.pause();
    await season.act();
    // By the other one, once it has what the zombie held.
    await one.caughtUp();
    zombie.wake();
    zombie.tell('go');
    told.push(await zombie.says('conflict', from));
    await season.act();
    await one.caughtUp();
  }
  expect({ seed, faults: await tornFaults(one.db, one.store, torn) }).toEqual({ seed, faults: [] });
  expect(told).toHaveLength(3);
}, 120_000);

it('standstills, kills and cut connections at random', async () => {
  const seed = Date.now() % 1_000_000;
  const below = randomFrom(seed);
  const season = new Season(one.store, below, { badOneIn: 60 });
  await Promise.all([crew.start(10), crew.start(20), crew.start(50)]);
  for (let round = 0; round < 16; round++) {
    await Promise.all([season.act(), season.act(), season.act()]);
    const awake = crew.workers.filter(({ paused }) => !paused);
    const worker = awake[below(awake.length)];
    const dice = below(5);
    // One at least goes on, so that whoever stands still loses its leases to it.
    if (dice < 2 && awake.length > 1) worker?.pause();
    else if (dice === 2 && awake.length > 1 && crew.workers.length > 2) await worker?.kill();
    else if (dice === 3) for (const each of crew.workers) each.wake();
    else if (dice === 4) await cutConnections(one);
    if (round % 4 === 3) await one.caughtUp();
  }
  for (const each of crew.workers) each.wake();
  await one.caughtUp();
  const faults = await tornFaults(one.db, one.store, torn, { parked: true });
  expect({ seed, faults }).toEqual({ seed, faults: [] });
  await crew.stop();
  expect({ seed, faults: await mendedFaults(one.db, one.store) }).toEqual({ seed, faults: [] });
}, 120_000);

/** Of projectors and of their leases, in the middle of whatever they do; not those of this process. */
async function cutConnections({ db }: ProjectingProcess): Promise<void> {
  await db.query(
    `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()
     AND (application_name = 'tidemark:leases' OR query ~ '_apply')`,
  );
}
