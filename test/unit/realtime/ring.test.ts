/** The ring against a plain list, and the small pieces beside it. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Change } from '../../../src/realtime/change.js';
import { Coalesced, Gate } from '../../../src/platform/coalesced.js';
import { FrameAllowance } from '../../../src/realtime/frame-allowance.js';
import { Ring } from '../../../src/realtime/ring.js';
import { Turns } from '../../../src/realtime/turns.js';

const change = (seq: number): Change =>
  new Change(
    {
      log: 'board.v1',
      shard: 0,
      epoch: 'e1',
      seq,
      key: `k${seq}`,
      before: null,
      row: `{"n":${seq}}`,
      recordedAt: '2026-01-01T00:00:00.000Z',
    },
    [],
  );
const each = change(1).bytes;

describe('the ring', () => {
  it('holds the newest changes without a hole, whatever is pushed, trimmed and put in front', () => {
    const step = fc.oneof(
      fc.record({ push: fc.integer({ min: 1, max: 150 }) }),
      fc.record({ keep: fc.nat(200) }),
      fc.record({ back: fc.nat(40), overlap: fc.nat(5) }),
    );
    fc.assert(
      fc.property(fc.nat(1_000), fc.array(step, { maxLength: 30 }), (start, steps) => {
        const ring = new Ring(start);
        let model = { start, end: start };
        for (const one of steps) {
          if ('push' in one) for (let n = 0; n < one.push; n++) ring.push(change(++model.end));
          else if ('keep' in one) {
            ring.trim((one.keep + 0.9) * each * 1.2);
            while (ring.start > model.start) model = { ...model, start: model.start + 1 };
            expect(ring.bytes).toBeLessThanOrEqual((one.keep + 0.9) * each * 1.2);
          } else {
            const first = Math.max(1, model.start + 1 - one.back);
            const older = [];
            for (let seq = first; seq <= Math.min(model.end, model.start + one.overlap); seq++)
              older.push(change(seq));
            ring.prepend(older);
            if ((older[0]?.seq ?? Infinity) <= model.start && older.some(({ seq }) => seq === model.start))
              model = { ...model, start: first - 1 };
          }
          expect([ring.start, ring.end]).toEqual([model.start, model.end]);
          for (let seq = model.start + 1; seq <= model.end; seq++) expect(ring.at(seq).seq).toBe(seq);
          let bytes = 0;
          for (let seq = model.start + 1; seq <= model.end; seq++) bytes += ring.at(seq).bytes;
          expect(ring.bytes).toBe(bytes);
        }
      }),
      { numRuns: 60 },
    );
  });

  it('refuses what would leave a hole, and what it does not have', () => {
    const ring = new Ring(5);
    expect(() => ring.push(change(7))).toThrow(RangeError);
    ring.push(change(6));
    expect(() => ring.at(5)).toThrow(RangeError);
    expect(() => ring.at(7)).toThrow(RangeError);
    expect(() => ring.prepend([change(3), change(4)])).toThrow(RangeError);
    ring.prepend([change(4), change(5), change(6)]);
    expect([ring.start, ring.end]).toEqual([3, 6]);
  });
});

describe('a coalesced call', () => {
  it('runs once for all who come while another runs, and begins after they came', async () => {
    const gates: (() => void)[] = [];
    let runs = 0;
    const call = new Coalesced(async () => {
      const number = ++runs;
      await new Promise<void>((resolve) => gates.push(resolve));
      return number;
    });
    const first = call.call();
    const waiting = [call.call(), call.call(), call.call()];
    expect(runs).toBe(1);
    gates.shift()?.();
    expect(await first).toBe(1);
    while (gates.length === 0) await Promise.resolve();
    const later = call.call();
    gates.shift()?.();
    expect(await Promise.all(waiting)).toEqual([2, 2, 2]);
    while (gates.length === 0) await Promise.resolve();
    gates.shift()?.();
    expect(await later).toBe(3);
  });

  it('that fails fails for those who shared it, and the next runs', async () => {
    let runs = 0;
    const call = new Coalesced(() =>
      ++runs === 1 ? Promise.reject(new Error('no')) : Promise.resolve(runs),
    );
    const first = call.call();
    const second = call.call();
    await expect(first).rejects.toThrow('no');
    expect(await second).toBe(2);
  });
});

it('a gate lets so many in at a time, in their order, also after a failure', async () => {
  const gate = new Gate(2);
  const running: number[] = [];
  const ends = new Map<number, (error?: Error) => void>();
  const work = (number: number): Promise<void> =>
    gate.run(
      () =>
        new Promise((resolve, reject) => {
          running.push(number);
          ends.set(number, (error) => (error ? reject(error) : resolve()));
        }),
    );
  const all = [1, 2, 3, 4].map(work);
  expect(running).toEqual([1, 2]);
  ends.get(2)?.(new Error('broken'));
  await expect(all[1]).rejects.toThrow('broken');
  expect(running).toEqual([1, 2, 3]);
  ends.get(1)?.();
  await all[0];
  expect(running).toEqual([1, 2, 3, 4]);
  for (const number of [3, 4]) ends.get(number)?.();
  await Promise.all([all[2], all[3]]);
});

it('an allowance is a burst and then a rate', () => {
  const allowance = new FrameAllowance(3, 10);
  expect([0, 0, 0, 0].map((now) => allowance.take(now))).toEqual([true, true, true, false]);
  expect(allowance.take(100)).toBe(true);
  expect(allowance.take(150)).toBe(false);
  expect(allowance.take(10_000)).toBe(true);
});

it('turns do each piece of work once, though it is asked for often, and again when asked during it', async () => {
  const done: string[] = [];
  const turns = new Turns<string>((item) => {
    done.push(item);
    if (done.length === 1) turns.add(item);
  });
  for (const item of ['a', 'b', 'a', 'b']) turns.add(item);
  expect(done).toEqual([]);
  while (done.length < 3) await new Promise((resolve) => setImmediate(resolve));
  expect([...done].sort()).toEqual(['a', 'a', 'b']);
});
