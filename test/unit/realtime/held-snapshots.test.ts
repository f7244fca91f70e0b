/** What clients in the middle of their snapshots keep is bounded, and who finds no room gets his turn. */
import { describe, expect, it } from 'vitest';
import { HeldSnapshots } from '../../../src/realtime/held-snapshots.js';
import type { SnapshotPages } from '../../../src/realtime/snapshots.js';
import { World } from './world.js';

const snapshot = (bytes: number): SnapshotPages => ({
  epoch: 'e',
  pos: new Map(),
  tooMany: false,
  pages: ['x'.repeat(bytes)],
  bytes,
});

describe('snapshots that are held', () => {
  it('are counted once for all who have them, and not at all where they are small', () => {
    const held = new HeldSnapshots(100, 10);
    const [large, small] = [snapshot(60), snapshot(10)];
    const [ann, bob, cid] = [{}, {}, {}];
    expect([held.hold(ann, large), held.hold(bob, { ...large }), held.hold(cid, small)]).toEqual([
      true,
      true,
      true,
    ]);
    expect(held.bytes).toBe(60);
    held.release(ann);
    expect(held.bytes).toBe(60);
    held.release(bob);
    held.release(bob);
    held.release(cid);
    expect(held.bytes).toBe(0);
  });

  it('wait for one another, but for the first, however large; a small one never waits', async () => {
    const held = new HeldSnapshots(100, 10);
    const [ann, bob, cid] = [{}, {}, {}];
    expect(held.hold(ann, snapshot(1_000))).toBe(true);
    expect(held.hold(bob, snapshot(11))).toBe(false);
    expect(held.hold(cid, snapshot(9))).toBe(true);
    const released = held.released();
    held.release(cid);
    expect(held.bytes).toBe(1_000);
    held.release(ann);
    await released;
    expect(held.hold(bob, snapshot(11))).toBe(true);
    held.release(bob);
    await held.released();
  });

  it('count for the one that a client has now only', () => {
    const held = new HeldSnapshots(100, 10);
    const ann = {};
    held.hold(ann, snapshot(60));
    held.hold(ann, snapshot(70));
    expect(held.bytes).toBe(70);
    held.hold(ann, snapshot(5));
    expect(held.bytes).toBe(0);
  });
});

it('a client that finds no room gets its snapshot once the one before has read on', async () => {
  const world = new World();
  await world.begin();
  for (let n = 0; n < 8; n++)
    await world.step({ do: 'write', id: `k${n}`, list: 'a', done: null, long: true });
  for (const shard of [0, 1, 2]) await world.step({ do: 'deliver', shard, count: 9 });
  const frames = (client: number): number => world.clients[client]?.socket.queue.length ?? 0;
  const answer = async (): Promise<void> => {
    await world.step({ do: 'turn' });
    while (world.log.calls.length > 0) await world.step({ do: 'answer', which: 0, when: 'now' });
    for (let n = 0; n < 3; n++) await world.step({ do: 'turn' });
  };
  await world.step({ do: 'sub', client: 0, id: 's1', view: { view: 'board' } });
  await answer();
  // It does not read on, and another one’s snapshot is not the same.
  expect(frames(0)).toBeGreaterThan(0);
  expect(frames(0)).toBeLessThan(8);
  await world.step({ do: 'sub', client: 1, id: 's1', view: { view: 'board', where: { list: 'a' } } });
  const before = frames(1);
  await answer();
  expect(frames(1)).toBe(before);
  for (let n = 0; n < 20; n++) {
    world.read(0, 1);
    await answer();
  }
  expect(frames(1)).toBeGreaterThan(before);
  await world.settle();
  world.verify();
  expect(world.resets).toEqual([]);
  await world.end();
});
