/**
 * Connections that are cut while a batch commits, so that its projector cannot know the outcome: it was committed and the answer was lost,
 * it was not, or it still will be, once the projector has long begun again.
 */
import { expect, it, onTestFinished } from 'vitest';
import { applyFunction } from '../../../src/projections/names.js';
import { startFlakyProxy, type Trap } from '../../support/flaky-proxy.js';
import { freshDatabase } from '../../support/postgres.js';
import { startProjecting } from '../../support/projecting.js';
import { randomFrom } from '../../support/random.js';
import { torn } from '../../support/tearing/app.js';
import { mendedFaults, tornFaults } from '../../support/tearing/faults.js';
import { Season } from '../../support/tearing/season.js';

const WAYS: readonly Trap['how'][] = ['lose-answer', 'lose-question', 'keep-question'];
/** The calls that commit: one statement each, and the handler's own transaction. */
const COMMITS = [...torn.views.map((projection) => applyFunction(projection)), 'COMMIT'];

it('nothing is lost or counted twice, whatever became of the commit', async () => {
  const seed = Date.now() % 1_000_000;
  const below = randomFrom(seed);
  const pg = await freshDatabase();
  onTestFinished(() => pg.drop());
  const proxy = await startFlakyProxy(pg.url);
  onTestFinished(() => proxy.stop());
  const one = await startProjecting(pg.url, torn, { idle: true, beatMs: 50 });
  onTestFinished(() => one.stop());
  const worker = await startProjecting(proxy.url, torn, { beatMs: 50 });
  onTestFinished(() => worker.stop());
  const season = new Season(one.store, below, { badOneIn: 60 });
  const caught: string[] = [];
  // Two of the three ways with each kind of commit; which, is told by the seed.
  for (const [n, text] of [...COMMITS, ...COMMITS].entries()) {
    const how = WAYS[(n + seed) % WAYS.length] ?? 'lose-answer';
    let interrupted = false;
    const cut = proxy.interrupted().then(() => (interrupted = true));
    proxy.trap = { text, how };
    while (!interrupted) {
      await season.act();
      await Promise.race([cut, one.caughtUp()]);
    }
    caught.push(`${how} ${text}`);
    if (how === 'keep-question') {
      // At once, beside whoever tries again, or when all that was in it is in already.
      if (below(2) === 0) await one.caughtUp();
      proxy.deliver();
    }
    await season.act();
    await one.caughtUp();
  }
  expect(caught).toHaveLength(2 * COMMITS.length);
  const faults = await tornFaults(one.db, one.store, torn, { parked: true });
  expect({ seed, caught, faults }).toEqual({ seed, caught, faults: [] });
  await worker.stop();
  expect({ seed, faults: await mendedFaults(one.db, one.store) }).toEqual({ seed, faults: [] });
}, 120_000);
