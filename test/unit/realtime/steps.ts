/** What may happen to a gateway in memory, at random. */
import fc from 'fast-check';
import { SHARDS } from '../../support/realtime/board.js';
import type { Subscribe } from '../../support/realtime/live-view.js';
import type { Step } from './world.js';

export const LISTS = ['a', 'b'] as const;

export const done = fc.constantFrom(true, false, null);
const client = fc.nat(1);
const shard = fc.nat(SHARDS - 1);
const subId = fc.constantFrom('s1', 's2', 's3');

/** @param ids keys that are written. @param view what is subscribed to */
export function anyStep(
  ids: readonly string[],
  view: fc.Arbitrary<Omit<Subscribe, 'id'>>,
): fc.Arbitrary<Step> {
  return fc.oneof(
    {
      weight: 12,
      arbitrary: fc.record({
        do: fc.constant('write' as const),
        id: fc.constantFrom(...ids),
        list: fc.constantFrom(...LISTS),
        done,
        long: fc.boolean(),
      }),
    },
    {
      weight: 2,
      arbitrary: fc.record({
        do: fc.constant('burst' as const),
        id: fc.constantFrom(...ids),
        list: fc.constantFrom(...LISTS),
        count: fc.integer({ min: 3, max: 9 }),
      }),
    },
    { weight: 3, arbitrary: fc.record({ do: fc.constant('remove' as const), id: fc.constantFrom(...ids) }) },
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
      arbitrary: fc.record({
        do: fc.constant('read' as const),
        client,
        count: fc.integer({ min: 1, max: 8 }),
      }),
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
}
