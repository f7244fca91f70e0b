/**
 * Windows in random interleavings of writes, feed, late reads, subscriptions, slow reading, reconnects, restarts, trimming
 * and rebuilds: between any two frames, a live one is what a fold, a sort and a cut of all changes give at its position.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Subscribe } from '../../support/realtime/live-view.js';
import { anyStep, done, LISTS } from './steps.js';
import { World, type Step } from './world.js';

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

const write = (id: string, long: boolean): Step => ({ do: 'write', id, list: 'a', done: true, long });
const deliver = (shard: number, count = 1): Step => ({ do: 'deliver', shard, count });
const answer = (when: 'asked' | 'failed' = 'asked'): Step => ({ do: 'answer', which: 0, when });
const sub = (id: string, more: object): Step => ({
  do: 'sub',
  client: 0,
  id,
  view: { view: 'board', ...more },
});

/** The log moves on between two frames of what a slow client lacks. */
const LATE: Step[] = [
  write('k5', true),
  sub('s1', { limit: 4, sort: 'list,-done,-id' }),
  answer(),
  deliver(0),
  write('k1', false),
  answer(),
  deliver(2),
  write('k4', false),
  write('k6', true),
  write('k1', false),
  deliver(1, 2),
  { do: 'turn' },
  sub('s3', { limit: 1 }),
  answer(),
  deliver(2),
  { do: 'remove', id: 'k1' },
  { do: 'check' },
  { do: 'reconnect', client: 1 },
  { do: 'read', client: 0, count: 1 },
  { do: 'turn' },
  { do: 'rebuild', further: false },
  write('k1', false),
  deliver(0),
  write('k1', false),
  { do: 'read', client: 0, count: 1 },
];
/** A slow client is told of a row that it has seen leave already. */
const AGAIN: Step[] = [
  sub('s1', { limit: 1 }),
  { do: 'turn' },
  write('k1', false),
  answer(),
  { do: 'remove', id: 'k1' },
  { do: 'turn' },
  { do: 'burst', id: 'k2', list: 'a', count: 3 },
  { do: 'read', client: 0, count: 1 },
  answer(),
  { do: 'check' },
  deliver(0),
  answer('failed'),
  { do: 'check' },
  answer(),
  { do: 'turn' },
];

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
      { numRuns: Number(process.env['REALTIME_RUNS'] ?? 1_000), examples: [[LATE], [AGAIN]] },
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
