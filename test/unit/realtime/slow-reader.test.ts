/** A subscriber that does not read leaves its topics, and gets back in by replay where its chain stopped. */
import { describe, expect, it } from 'vitest';
import { shardOf } from '../../../src/platform/murmur2.js';
import { SHARDS } from '../../support/realtime/board.js';
import { World } from './world.js';

const idIn = (shard: number): string => {
  for (let n = 0; ; n++) if (shardOf(`id${n}`, SHARDS) === shard) return `id${n}`;
};

describe('a slow reader', () => {
  it('comes back by a replay whose chain begins where its own stopped, also in shards that were quiet', async () => {
    const world = new World();
    await world.begin();
    await world.step({ do: 'sub', client: 0, id: 's1', view: { view: 'board', where: { list: 'a' } } });
    await world.settle();
    // Shard 0 goes on without the channel, so that the log is ahead of the channel’s chain there.
    await world.step({ do: 'write', id: idIn(0), list: 'b', done: null, long: false });
    await world.step({ do: 'deliver', shard: 0, count: 1 });
    for (let n = 0; n < 6; n++) {
      await world.step({ do: 'write', id: idIn(1), list: 'a', done: null, long: true });
      await world.step({ do: 'deliver', shard: 1, count: 1 });
    }
    expect(world.left).toBe(0);
    await world.step({ do: 'check' });
    expect(world.left).toBe(1);
    const published = world.clients[0]?.socket.queue.length;
    await world.step({ do: 'write', id: idIn(0), list: 'a', done: null, long: false });
    await world.step({ do: 'write', id: idIn(1), list: 'a', done: true, long: false });
    await world.step({ do: 'deliver', shard: 0, count: 1 });
    await world.step({ do: 'deliver', shard: 1, count: 1 });
    await world.step({ do: 'turn' });
    expect(world.clients[0]?.socket.queue.length).toBe(published);
    await world.settle();
    world.verify();
    expect(world.resets).toEqual([]);
    await world.end();
  });

  it('of a window comes back with what it missed of it', async () => {
    const world = new World();
    await world.begin();
    const view = { view: 'board', where: { list: 'a' }, sort: '-id', limit: 3 };
    for (let n = 0; n < 4; n++)
      await world.step({ do: 'write', id: `k${n}`, list: 'a', done: null, long: true });
    for (const shard of [0, 1, 2]) await world.step({ do: 'deliver', shard, count: 9 });
    await world.step({ do: 'sub', client: 0, id: 's1', view });
    await world.settle();
    // The client does not read while one row of the window changes, and changes again.
    for (let n = 0; n < 6; n++) {
      await world.step({ do: 'write', id: 'k2', list: 'a', done: n % 2 === 0, long: true });
      await world.step({ do: 'deliver', shard: shardOf('k2', SHARDS), count: 1 });
    }
    await world.step({ do: 'check' });
    expect(world.left).toBe(1);
    await world.step({ do: 'write', id: 'k9', list: 'a', done: true, long: true });
    await world.step({ do: 'deliver', shard: shardOf('k9', SHARDS), count: 1 });
    await world.settle();
    world.verify();
    expect(world.resets).toEqual([]);
    await world.end();
  });

  it('costs the server no more than its bound, however much is published', async () => {
    const world = new World();
    await world.begin();
    await world.step({ do: 'sub', client: 0, id: 's1', view: { view: 'board' } });
    await world.settle();
    for (let n = 0; n < 200; n++) {
      await world.step({ do: 'write', id: idIn(1), list: 'a', done: null, long: true });
      await world.step({ do: 'deliver', shard: 1, count: 1 });
      await world.step({ do: 'check' });
    }
    expect(world.clients[0]?.socket.bufferedAmount()).toBeLessThan(2_000);
    await world.settle();
    world.verify();
    expect(world.resets).toEqual(['too_far_behind']);
    await world.end();
  });
});
