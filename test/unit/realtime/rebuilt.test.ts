/** A change log that is rebuilt in place while a replay of it is being read: nothing of the new one goes out as the old. */
import { expect, it } from 'vitest';
import { shardOf } from '../../../src/platform/murmur2.js';
import { SHARDS } from '../../support/realtime/board.js';
import { LiveView } from '../../support/realtime/live-view.js';
import { World } from './world.js';

const SHARD = shardOf('k1', SHARDS);

async function written(world: World, count: number): Promise<void> {
  for (let n = 0; n < count; n++)
    await world.step({ do: 'write', id: 'k1', list: 'a', done: null, long: true });
}

it('is found by what the page says of its epoch', async () => {
  const world = new World();
  await world.begin();
  await written(world, 20);
  await world.step({ do: 'deliver', shard: SHARD, count: 20 });
  const [client] = world.clients;
  if (!client) throw new Error('no client');
  const view = new LiveView({ id: 's1', view: 'board' });
  view.epoch = world.log.epoch;
  view.last = new Map([[SHARD, 10]]);
  client.views.set('s1', view);
  world.send(0, view.subscribe());
  await world.step({ do: 'turn' });
  // The ring does not reach back so far: a read of Postgres is under way, and answered by the log that is there then.
  expect(world.log.calls).toHaveLength(1);
  await world.step({ do: 'rebuild', further: false });
  await written(world, 30);
  await world.step({ do: 'answer', which: 0, when: 'now' });
  await world.settle();
  expect(view.resets).toEqual(['epoch_changed']);
  expect(view.epoch).toBe('e2');
  world.verify();
  await world.end();
});
