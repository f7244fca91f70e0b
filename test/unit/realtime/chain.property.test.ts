/**
 * The arithmetic of the socket, tried in random interleavings of writes, feed, database answers, subscriptions, slow
 * reading, reconnects, restarts, trimming and rebuilds: whatever happens, each subscriber's rows end up equal to the
 * table, and each change of its channel came exactly once and in order.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Subscribe } from '../../support/realtime/live-view.js';
import { anyStep, done, LISTS } from './steps.js';
import { World } from './world.js';

const IDS = ['k1', 'k2', 'k3', 'k4', 'k5'] as const;

const view: fc.Arbitrary<Omit<Subscribe, 'id'>> = fc.oneof(
  fc.constant({ view: 'board' }),
  fc.record({ view: fc.constant('board'), key: fc.constantFrom(...IDS) }),
  fc.record({ view: fc.constant('board'), where: fc.record({ list: fc.constantFrom(...LISTS) }) }),
  fc.record({ view: fc.constant('board'), where: fc.record({ done, list: fc.constantFrom(...LISTS) }) }),
);
const step = anyStep(IDS, view);

describe('the chain of changes', () => {
  const reached = new Set<string>();

  it('gives every subscriber each change once and in order, in any interleaving', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 10, maxLength: 120, size: 'max' }), async (steps) => {
        const world = new World();
        await world.begin();
        for (const one of steps) await world.step(one);
        await world.settle();
        world.verify();
        for (const reason of world.resets) reached.add(reason);
        if (world.left > 0) reached.add('left');
        await world.end();
      }),
      { numRuns: Number(process.env['REALTIME_RUNS'] ?? 1_000) },
    );
  });

  it('went through every way of the state machine', () => {
    expect([...reached].sort()).toEqual(['epoch_changed', 'left', 'too_far_behind', 'trimmed']);
  });
});
