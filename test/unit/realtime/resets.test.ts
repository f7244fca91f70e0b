/** Resets one after the other: how many go at once, in how many batches, and who with whom. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Channel } from '../../../src/realtime/channels.js';
import { Resets, type Held } from '../../../src/realtime/resets.js';

const channel = (ch: number): Channel => new Channel(ch, { kind: 'all' }, [0]);

/** Work that waits, moved by hand: `at once` before what waits for time. */
function byHand(settings: { resetBatch: number; resetSpreadMs: number }) {
  const waiting: { ms: number; work: () => void }[] = [];
  const resets = new Resets(settings, (ms, work) => void waiting.push({ ms, work }));
  const out: number[][] = [];
  const held = (number: number, of: Channel, needed = true): Held => ({
    channel: of,
    release() {
      if (needed) out.at(-1)?.push(number);
      return needed;
    },
  });
  /** @returns ms that passed; undefined when nothing waits */
  const step = (): number | undefined => {
    const next = waiting.find(({ ms }) => ms === 0) ?? waiting[0];
    if (!next) return undefined;
    waiting.splice(waiting.indexOf(next), 1);
    out.push([]);
    next.work();
    return next.ms;
  };
  const all = (): number => {
    let passed = 0;
    for (let ms = step(); ms !== undefined; ms = step()) passed += ms;
    return passed;
  };
  const batches = (): number[][] => out.filter((batch) => batch.length > 0);
  return { resets, held, step, all, batches };
}

describe('resets', () => {
  it('of a few go in the next turn, and not in this one', () => {
    const { resets, held, step, batches } = byHand({ resetBatch: 3, resetSpreadMs: 1_000 });
    for (const n of [1, 2, 3]) resets.add(held(n, channel(n)));
    expect(batches()).toEqual([]);
    expect(step()).toBe(0);
    expect(batches()).toEqual([[1, 2, 3]]);
    expect(resets.size).toBe(0);
  });

  it('of many go in batches of the size that is set, those of one channel together', () => {
    const { resets, held, all, batches } = byHand({ resetBatch: 3, resetSpreadMs: 1_000 });
    const [a, b] = [channel(1), channel(2)];
    for (let n = 0; n < 8; n++) resets.add(held(n, n % 2 === 0 ? a : b));
    all();
    expect(batches()).toEqual([
      [0, 2, 4],
      [6, 1, 3],
      [5, 7],
    ]);
  });

  it('that come while others wait take their turn', () => {
    const { resets, held, step, all, batches } = byHand({ resetBatch: 2, resetSpreadMs: 1_000 });
    for (const n of [1, 2, 3]) resets.add(held(n, channel(n)));
    step();
    resets.add(held(4, channel(4)));
    expect(batches()).toEqual([[1, 2]]);
    all();
    expect(batches()).toEqual([
      [1, 2],
      [3, 4],
    ]);
    resets.add(held(5, channel(5)));
    expect(step()).toBe(0);
    expect(batches().at(-1)).toEqual([5]);
  });

  it('that are not needed any more take nobody’s place', () => {
    const { resets, held, all, batches } = byHand({ resetBatch: 2, resetSpreadMs: 1_000 });
    const gone = held(0, channel(0));
    resets.add(gone);
    for (const n of [1, 2]) resets.add(held(n, channel(n), false));
    for (const n of [3, 4]) resets.add(held(n, channel(n)));
    resets.forget(gone);
    resets.forget(gone);
    expect(resets.size).toBe(4);
    all();
    expect(batches()).toEqual([[3, 4]]);
    expect(resets.size).toBe(0);
  });

  it('all go, each once, within the time that is set, however many they are and whenever they come', () => {
    fc.assert(
      fc.property(
        fc.record({
          batch: fc.integer({ min: 1, max: 50 }),
          waves: fc.array(fc.record({ count: fc.integer({ min: 1, max: 3_000 }), steps: fc.nat(4) }), {
            minLength: 1,
            maxLength: 4,
          }),
        }),
        ({ batch, waves }) => {
          const spread = 2_000;
          const { resets, held, step, all, batches } = byHand({ resetBatch: batch, resetSpreadMs: spread });
          let count = 0;
          for (const wave of waves) {
            for (let n = 0; n < wave.count; n++) resets.add(held(count++, channel(n % 7)));
            for (let n = 0; n < wave.steps; n++) step();
          }
          expect(all()).toBeLessThanOrEqual(spread + spread / 20);
          const out = batches().flat();
          expect(out).toHaveLength(count);
          expect(new Set(out).size).toBe(count);
          const largest = Math.max(...batches().map(({ length }) => length));
          expect(largest).toBeLessThanOrEqual(Math.max(batch, Math.ceil(count / 20)));
        },
      ),
      { numRuns: 40 },
    );
  });
});
