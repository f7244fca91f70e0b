/**
 * The arithmetic of the socket, tried in random interleavings of writes, feed, database answers, subscriptions, slow
 * reading, reconnects, restarts, trimming and rebuilds: whatever happens, each subscriber's rows end up equal to the
 * table, and each change of its channel came exactly once and in order.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SHARDS } from '../../support/realtime/board.js';
import type { Subscribe } from '../../support/realtime/live-view.js';
import { World, type Step } from './world.js';

const IDS = ['k1', 'k2', 'k3', 'k4', 'k5'] as const;
const LISTS = ['a', 'b'] as const;

const done = fc.constantFrom(true, false, null);
const client = fc.nat(1);
const shard = fc.nat(SHARDS - 1);
const subId = fc.constantFrom('s1', 's2', 's3');
const view: fc.Arbitrary<Omit<Subscribe, 'id'>> = fc.oneof(
  fc.constant({ view: 'board' }),
  fc.record({ view: fc.constant('board'), key: fc.constantFrom(...IDS) }),
  fc.record({ view: fc.constant('board'), where: fc.record({ list: fc.constantFrom(...LISTS) }) }),
  fc.record({ view: fc.constant('board'), where: fc.record({ done, list: fc.constantFrom(...LISTS) }) }),
);
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 12,
    arbitrary: fc.record({
      do: fc.constant('write' as const),
      id: fc.constantFrom(...IDS),
      list: fc.constantFrom(...LISTS),
      done,
      long: fc.boolean(),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('burst' as const),
      id: fc.constantFrom(...IDS),
      list: fc.constantFrom(...LISTS),
      count: fc.integer({ min: 3, max: 9 }),
    }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('remove' as const), id: fc.constantFrom(...IDS) }) },
  {
    weight: 10,
    arbitrary: fc.record({
      do: fc.constant('deliver' as const),
      shard,
      count: fc.integer({ min: 1, max: 4 }),
    }),
  },
  {
    weight: 10,
    arbitrary: fc.record({
      do: fc.constant('answer' as const),
      which: fc.nat(5),
      when: fc.oneof(
        { weight: 9, arbitrary: fc.constantFrom('asked' as const, 'now' as const) },
        { weight: 1, arbitrary: fc.constant('failed' as const) },
      ),
    }),
  },
  { weight: 6, arbitrary: fc.record({ do: fc.constant('sub' as const), client, view, id: subId }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('unsub' as const), client, id: subId }) },
  {
    weight: 8,
    arbitrary: fc.record({ do: fc.constant('read' as const), client, count: fc.integer({ min: 1, max: 8 }) }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('reconnect' as const), client }) },
  {
    weight: 8,
    arbitrary: fc.record({ do: fc.constantFrom('check' as const, 'sweep' as const, 'turn' as const) }),
  },
  { weight: 6, arbitrary: fc.record({ do: fc.constant('turn' as const) }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constantFrom('heads' as const, 'reset' as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('restart' as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('rebuild' as const), further: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('trim' as const), shard, back: fc.nat(3) }) },
);

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
      { numRuns: Number(process.env['REALTIME_RUNS'] ?? 250) },
    );
  });

  it('went through every way of the state machine', () => {
    expect([...reached].sort()).toEqual(['epoch_changed', 'left', 'too_far_behind', 'trimmed']);
  });
});
