/** A client that reads slowly is waited for as long as it reads; one that does not, for so long and no longer. */
import { describe, expect, it } from 'vitest';
import { Backlog } from '../../../src/realtime/backlog.js';

describe('a backlog', () => {
  it('grows old while nothing is read, whatever little comes on top', () => {
    const backlog = new Backlog();
    expect(backlog.isThere).toBe(false);
    expect([0, 3_000, 9_000].map((now) => backlog.grewOld(1_000 + now / 1_000, now))).toEqual([
      0, 3_000, 9_000,
    ]);
    expect(backlog.isThere).toBe(true);
  });

  it('of a client on a slow line never does, though it takes long', () => {
    const backlog = new Backlog();
    const ages: number[] = [];
    // 20 KB a second, of half a MiB: to a quarter of one it takes longer than 10 s.
    for (let now = 0; now <= 13_000; now += 1_000) ages.push(backlog.grewOld(512 * 1024 - 20 * now, now));
    expect(Math.max(...ages)).toBeLessThan(5_000);
  });

  it('of a client that reads a byte now and then does', () => {
    const backlog = new Backlog();
    const ages: number[] = [];
    for (let now = 0; now <= 10_000; now += 1_000) ages.push(backlog.grewOld(100_000 - now / 1_000, now));
    expect(ages.at(-1)).toBe(10_000);
  });

  it('begins anew after all was read', () => {
    const backlog = new Backlog();
    backlog.grewOld(1_000, 0);
    backlog.clear();
    expect(backlog.isThere).toBe(false);
    expect(backlog.grewOld(1_000, 50_000)).toBe(0);
  });
});
