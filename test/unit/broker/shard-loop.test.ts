/** The arithmetic of a shard loop, over pages that no sound log would give: holes, repeats, and hints of another time. */
import { afterEach, describe, expect, it } from 'vitest';
import { Permits } from '../../../src/broker/permits.js';
import { ShardLoop, type ShardLoopOptions } from '../../../src/broker/shard-loop.js';
import type { Sequenced } from '../../../src/broker/ports.js';

const entries = (...seqs: number[]): Sequenced[] => seqs.map((seq) => ({ shard: 0, seq }));
const loops: ShardLoop<Sequenced>[] = [];

afterEach(async () => {
  await Promise.all(loops.splice(0).map((loop) => loop.stop()));
});

/** A loop over pages that are given one after the other, then empty ones. */
function follow(pages: Sequenced[][], options: Partial<ShardLoopOptions<Sequenced>> = {}) {
  const handled: number[] = [];
  const reads: [after: number, limit: number][] = [];
  const complaints: Record<string, unknown>[] = [];
  const counted = { gaps: 0, repeats: 0 };
  let quiet: () => void = () => undefined;
  const settled = new Promise<void>((resolve) => (quiet = resolve));
  const loop = new ShardLoop<Sequenced>({
    shard: 0,
    maxBatch: 100,
    permits: new Permits(1),
    notNow: () => Promise.resolve(),
    gapHealed: () => void counted.gaps++,
    repeatsDropped: (count) => void (counted.repeats += count),
    complain: (_what, details) => complaints.push(details),
    open: () =>
      Promise.resolve({
        after: 0,
        handle: (batch) => {
          handled.push(...batch.map(({ seq }) => seq));
          return Promise.resolve();
        },
        trimmed: () => undefined,
      }),
    read: (_shard, after, limit) => {
      reads.push([after, limit]);
      const page = pages.shift() ?? [];
      if (page.length === 0) setImmediate(quiet);
      return Promise.resolve({ kind: 'entries', entries: page });
    },
    ...options,
  });
  loops.push(loop);
  return { loop, handled, reads, complaints, counted, settled };
}

describe('a shard loop', () => {
  it('asks its reader anew where it stands once the log does not reach any more what it was given', async () => {
    const begins = [0, 2];
    const opened: number[] = [];
    const handled: number[] = [];
    let again: () => void = () => undefined;
    const reopened = new Promise<void>((resolve) => (again = resolve));
    const { loop, settled } = follow([entries(1, 2, 3, 4), []], {
      open: () => {
        const after = begins.shift() ?? 0;
        opened.push(after);
        if (opened.length === 2) again();
        const handle = (batch: readonly Sequenced[]): Promise<void> => {
          handled.push(...batch.map(({ seq }) => seq));
          return Promise.resolve();
        };
        return Promise.resolve({ after, handle, trimmed: () => undefined });
      },
    });
    await settled;
    // The first look may have begun before all of it was there.
    loop.looked(2);
    loop.looked(4);
    expect(opened).toEqual([0]);
    loop.looked(2);
    await reopened;
    expect([opened, handled]).toEqual([
      [0, 2],
      [1, 2, 3, 4],
    ]);
  });

  it('hands over what follows, drops repeats, and reads a hole again', async () => {
    const { handled, reads, complaints, counted, settled } = follow([
      entries(1, 2, 4, 5),
      entries(2, 3, 4),
      entries(6),
      entries(5, 6),
    ]);
    await settled;
    expect(handled).toEqual([1, 2, 3, 4, 5, 6]);
    expect(reads.map(([after]) => after)).toEqual([0, 2, 4, 4, 6]);
    expect(complaints).toEqual([
      { shard: 0, expected: 3, found: 4 },
      { shard: 0, expected: 5, found: 6 },
    ]);
    expect(counted).toEqual({ gaps: 2, repeats: 1 });
  });

  it('counts a gap as healed once, and only when what was missing was handed over', async () => {
    const { handled, counted, settled } = follow([entries(1, 3), entries(3), entries(2, 3), entries(3)]);
    await settled;
    expect(handled).toEqual([1, 2, 3]);
    expect(counted).toEqual({ gaps: 1, repeats: 1 });
    const never = follow([entries(1, 3)]);
    await never.settled;
    expect(never.counted).toEqual({ gaps: 0, repeats: 0 });
  });

  it('rests after an empty page, reads as little as a hint tells of, and not at all for an old one', async () => {
    const { loop, handled, reads, settled } = follow([entries(1), [], entries(2, 3)]);
    await settled;
    expect(reads).toHaveLength(2);
    loop.hint(1);
    loop.hint(3);
    await expect.poll(() => handled).toEqual([1, 2, 3]);
    const [[after, limit] = [], ...more] = reads.slice(2);
    expect([after, more]).toEqual([1, []]);
    expect(limit).toBeLessThan(reads[0]?.[1] ?? 0);
  });

  it('does not run after a hint of what is not there', async () => {
    const { loop, reads, settled } = follow([]);
    await settled;
    loop.hint(1_000);
    await expect.poll(() => reads.length).toBeGreaterThan(1);
    const before = reads.length;
    loop.hint(0);
    await expect.poll(() => reads.length).toBe(before + 1);
  });

  it('goes back to the beginning of a page that it could not read', async () => {
    let failures = 2;
    const { handled, complaints } = follow([], {
      read: (_shard, after) => {
        if (failures-- > 0) return Promise.reject(new Error('away'));
        return Promise.resolve({ kind: 'entries', entries: after === 0 ? entries(1, 2) : [] });
      },
    });
    await expect.poll(() => handled).toEqual([1, 2]);
    expect(complaints).toHaveLength(2);
  });

  it('stops though a read never answers', async () => {
    const { loop } = follow([], { read: () => new Promise(() => undefined) });
    await loop.stop();
    await loop.stop();
  });
});

describe('permits', () => {
  it('let in so many at once, and the others in the order in which they came', async () => {
    const permits = new Permits(2);
    const order: number[] = [];
    const enter = async (n: number): Promise<void> => {
      await permits.take();
      order.push(n);
    };
    await Promise.all([enter(1), enter(2)]);
    expect(permits.wanted).toBe(false);
    const waiting = [enter(3), enter(4)];
    expect(permits.wanted).toBe(true);
    permits.giveBack();
    await waiting[0];
    expect(order).toEqual([1, 2, 3]);
    permits.giveBack();
    await waiting[1];
    expect(order).toEqual([1, 2, 3, 4]);
  });
});
