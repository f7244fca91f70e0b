import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Recent, type RecentOptions } from '../../../src/platform/recent.js';

const offer = (seq: number, bytes = 10) => ({ seq, bytes, entry: { seq } });
const seqs = (entries: readonly { seq: number }[] | undefined) => entries?.map(({ seq }) => seq);

function recentAt(options: RecentOptions = {}) {
  const time = { now: 0 };
  const clock = { now: () => 0, monotonic: () => time.now };
  return { time, recent: new Recent<{ seq: number }>({ ...options, clock }) };
}

test('gives what follows a seq, and nothing where it cannot tell', () => {
  const { recent } = recentAt();
  for (const seq of [5, 6, 7]) recent.offer('log', 0, offer(seq));
  expect(seqs(recent.after('log', 0, 4, 10))).toEqual([5, 6, 7]);
  expect(seqs(recent.after('log', 0, 5, 1))).toEqual([6]);
  expect(recent.after('log', 0, 3, 10)).toBeUndefined(); // 4 is not here
  expect(recent.after('log', 0, 7, 10)).toBeUndefined(); // perhaps there is more in Postgres
  expect(recent.after('log', 1, 4, 10)).toBeUndefined();
  expect(recent.after('other', 0, 4, 10)).toBeUndefined();
});

test('an old entry is not given out: the log may have been restored since', () => {
  const { recent, time } = recentAt({ maxAgeMs: 500 });
  recent.offer('log', 0, offer(1));
  time.now = 400;
  recent.offer('log', 0, offer(2));
  time.now = 600;
  expect(recent.after('log', 0, 0, 10)).toBeUndefined();
  expect(seqs(recent.after('log', 0, 1, 10))).toEqual([2]);
});

test('gives the entry at a seq, unless it is not here or old', () => {
  const { recent, time } = recentAt({ maxAgeMs: 500 });
  for (const seq of [5, 6]) recent.offer('log', 0, offer(seq));
  expect(recent.at('log', 0, 5)).toEqual({ seq: 5 });
  expect(recent.at('log', 0, 6)).toEqual({ seq: 6 });
  expect(recent.at('log', 0, 4)).toBeUndefined();
  expect(recent.at('log', 0, 7)).toBeUndefined();
  expect(recent.at('log', 1, 5)).toBeUndefined();
  time.now = 501;
  expect(recent.at('log', 0, 6)).toBeUndefined();
});

test('entries of another epoch do not follow, whatever their seq', () => {
  const { recent } = recentAt();
  for (const seq of [5, 6]) recent.offer('log', 0, { ...offer(seq), epoch: 'a' });
  recent.offer('log', 0, { ...offer(7), epoch: 'b' });
  expect(seqs(recent.after('log', 0, 6, 10))).toEqual([7]);
  expect(recent.after('log', 0, 4, 10)).toBeUndefined();
  // A log that was rebuilt begins far below where it was.
  recent.offer('log', 0, { ...offer(2), epoch: 'c' });
  expect(seqs(recent.after('log', 0, 1, 10))).toEqual([2]);
  expect(recent.after('log', 0, 6, 10)).toBeUndefined();
});

test('whatever is offered in whatever order: never a hole, never more than the bounds', () => {
  const offers = fc.array(
    fc.record({ seq: fc.integer({ min: 1, max: 30 }), bytes: fc.integer({ min: 1, max: 60 }) }),
  );
  fc.assert(
    fc.property(offers, fc.nat(30), fc.integer({ min: 1, max: 12 }), (given, after, limit) => {
      const { recent } = recentAt({ maxEntries: 8, maxBytes: 100 });
      for (const { seq, bytes } of given) recent.offer('log', 3, offer(seq, bytes));
      const found = seqs(recent.after('log', 3, after, limit));
      if (found === undefined) return;
      expect(found.length).toBeLessThanOrEqual(Math.min(limit, 8));
      expect(found).toEqual(found.map((_, index) => after + 1 + index));
    }),
  );
});
