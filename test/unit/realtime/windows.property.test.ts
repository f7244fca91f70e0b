/**
 * Windows in random interleavings of writes, feed, late reads, subscriptions, slow reading, reconnects, restarts, trimming
 * and rebuilds: between any two frames, a live one is what a fold, a sort and a cut of all changes give at its position.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Subscribe } from '../../support/realtime/live-view.js';
import { anyStep, done, LISTS } from './steps.js';
import { World } from './world.js';

const IDS = ['k1', 'k2', 'k3', 'k4', 'k5', 'k6', 'k7', 'k8'] as const;

const view: fc.Arbitrary<Omit<Subscribe, 'id'>> = fc
  .record({
    where: fc.option(
      fc.oneof(
        fc.record({ list: fc.constantFrom(...LISTS) }),
        fc.record({ done, list: fc.constantFrom(...LISTS) }),
      ),
      { nil: undefined },
    ),
    sort: fc.constantFrom(undefined, '-id', 'done', '-done,list', 'list,-done,-id', '-list'),
    limit: fc.constantFrom(1, 2, 3, 4, 50),
  })
  .map(({ where, sort, limit }) => ({
    view: 'board',
    limit,
    ...(where ? { where } : {}),
    ...(sort === undefined ? {} : { sort }),
  }));
const step = anyStep(IDS, view);

describe('a window', () => {
  const reached = new Map<string, number>();
  const count = (what: string, times = 1): void => void reached.set(what, (reached.get(what) ?? 0) + times);

  it('is what the query gives, whatever happens and whenever it is looked at', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 10, maxLength: 120, size: 'max' }), async (steps) => {
        const world = new World();
        await world.begin();
        for (const one of steps) await world.step(one);
        await world.settle();
        world.verify();
        for (const reason of world.resets) count(reason);
        count('left', world.left);
        count('compared', world.windows);
        count('replayed', world.replayed);
        await world.end();
      }),
      { numRuns: Number(process.env['REALTIME_RUNS'] ?? 250) },
    );
  });

  it('went through every way there is', () => {
    const missing = ['epoch_changed', 'too_far_behind', 'trimmed', 'replayed'].filter(
      (what) => (reached.get(what) ?? 0) === 0,
    );
    expect(missing).toEqual([]);
    expect(reached.get('compared')).toBeGreaterThan(1_000);
  });
});
