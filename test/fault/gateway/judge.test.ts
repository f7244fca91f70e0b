/** The judge of subscribers can find what it is there to find. */
import { describe, expect, it } from 'vitest';
import { digestOf } from './fleet/digest.js';
import type { Applied, Watched, WatcherReport } from './fleet/messages.js';
import { judgeWatcher, type Entry } from './judge.js';

const at = (customerId: string, status: string) => ({ customerId, status });

/** Two orders in a shard: one goes to another customer and back, one comes and is no more. */
const HISTORY: readonly Entry[] = [
  { shard: 0, seq: 1, key: 'a', before: null, after: at('c-1', 'placed') },
  { shard: 0, seq: 2, key: 'b', before: null, after: at('c-1', 'placed') },
  { shard: 0, seq: 3, key: 'a', before: at('c-1', 'placed'), after: at('c-2', 'placed') },
  { shard: 0, seq: 4, key: 'b', before: at('c-1', 'placed'), after: null },
  { shard: 0, seq: 5, key: 'a', before: at('c-2', 'placed'), after: at('c-1', 'paid') },
];
const WATCHED: Watched = { view: 'order_summary', where: { customerId: 'c-1' } };
const SEEN: readonly Applied[] = [
  [0, 1, 'a', 0],
  [0, 2, 'b', 0],
  [0, 3, 'a', 1],
  [0, 4, 'b', 1],
  [0, 5, 'a', 0],
];
const GOOD: WatcherReport = {
  watched: WATCHED,
  applied: SEEN,
  liveAt: [],
  rows: [['a', 5, digestOf(at('c-1', 'paid'))]],
  resets: [],
  faults: [],
  connections: 1,
  repeats: 0,
};

const without = (...revs: number[]): Applied[] => SEEN.filter(([, rev]) => !revs.includes(rev));
const faultsOf = (changed: Partial<WatcherReport>): string =>
  judgeWatcher({ ...GOOD, ...changed }, HISTORY).faults.join('\n');

describe('the judge', () => {
  it('has nothing against who saw everything once', () => {
    expect(judgeWatcher(GOOD, HISTORY)).toEqual({ faults: [], seen: 5, lost: 0, repeated: 0, overtaken: 0 });
  });

  it('lets a change be left out that a later one of its row overtook', () => {
    const found = judgeWatcher({ ...GOOD, applied: without(1, 3) }, HISTORY);
    expect(found).toMatchObject({ faults: [], overtaken: 2 });
  });

  it('asks for nothing before the snapshot', () => {
    expect(faultsOf({ applied: SEEN.slice(3), liveAt: [[0, 3]] })).toBe('');
  });

  it.each([
    ['a lost change', { applied: without(4) }, 'did not see 0/4 b gone'],
    ['a lost end', { applied: without(5) }, 'did not see 0/5 a'],
    ['a repeat', { applied: [...SEEN, SEEN[4]] as Applied[] }, '1 changes came again'],
    [
      'a swap',
      { applied: [0, 2, 1, 3, 4].map((n) => SEEN[n]) as Applied[] },
      'out of order: 0/3 a gone, 0/2 b',
    ],
    ['a row for one that is gone', { applied: [...without(3), [0, 3, 'a', 0]] as Applied[] }, 'instead of'],
    ['a change of others', { applied: [...SEEN, [0, 6, 'z', 0]] as Applied[] }, 'not its own'],
    ['a row too few', { rows: [] }, 'row a is not there'],
    [
      'a row too many',
      { rows: [...GOOD.rows, ['b', 2, 'x']] as WatcherReport['rows'] },
      'row b should not be there',
    ],
    ['an old row', { rows: [['a', 5, 'x']] as WatcherReport['rows'] }, 'should be'],
    ['what the subscriber found itself', { faults: ['a gap'] }, 'a gap'],
  ])('finds %s', (_name, changed, fault) => {
    expect(faultsOf(changed)).toContain(fault);
  });
});
