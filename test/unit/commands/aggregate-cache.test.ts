/** The cache is bounded in number and in bytes, and its estimate follows what a state grows by. */
import { describe, expect, it } from 'vitest';
import {
  AggregateCache,
  grownState,
  measuredState,
  streamKey,
} from '../../../src/commands/aggregate-cache.js';

const sized = (chars: number) => measuredState('x'.repeat(chars), 1, 0);

describe('AggregateCache', () => {
  it('pushes out the longest unused, by number', () => {
    const cache = new AggregateCache({ count: 2, bytes: 1_000_000 });
    for (const key of ['a', 'b']) cache.set(key, sized(10));
    cache.get('a');
    cache.set('c', sized(10));
    expect(['a', 'b', 'c'].map((key) => cache.get(key) !== undefined)).toEqual([true, false, true]);
  });

  it('stays within its bytes, and keeps nothing that is too large', () => {
    const cache = new AggregateCache({ count: 1_000, bytes: 100_000 });
    for (let n = 0; n < 100; n++) cache.set(`k${n}`, sized(1_000));
    expect(cache.bytes).toBeLessThanOrEqual(100_000);
    expect(cache.count).toBeGreaterThan(10);
    cache.set('k99', sized(50_000));
    expect(cache.get('k99')).toBeUndefined();
  });

  it('estimates growth by the data that was folded, and measures again when it would have doubled', () => {
    const before = sized(1_000);
    const little = grownState(before, 'x'.repeat(1_010), 2, 10);
    expect(little.bytes).toBe(before.bytes + 30);
    // Much was folded, and the state stayed small.
    const much = grownState(before, 'x', 3, 100_000);
    expect(much.bytes).toBeLessThan(before.bytes);
  });

  it('keys of streams never meet', () => {
    expect(streamKey('a', 'b/c')).not.toBe(streamKey('a/b', 'd'));
  });
});
