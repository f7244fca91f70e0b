/** What subscribers do to a gateway: they stand still with a full buffer, and come back all at once. */
import { eventually } from '../../stage/waiting.js';
import { mixOf } from '../mix.js';
import type { Scenario, World } from '../world.js';

/** Clients that have left their topics so far, or were closed, because they did not read. */
async function noticed({ cast }: World, what: 'left' | 'closed'): Promise<number> {
  const text = await cast.the('gateway').metrics();
  const [, value = '0'] =
    new RegExp(`^tidemark_slow_consumers_total\\{what="${what}"\\} (\\d+)`, 'm').exec(text) ?? [];
  return Number(value);
}

const all = (count: number) => Array.from({ length: count }, () => ({ view: 'papers' }));

export const frozenClient: Scenario = {
  name: 'frozen-client',
  title: 'clients stand still (SIGSTOP) until their buffers are full, and wake up again',
  paperBytes: 100_000,
  // The memory that is looked at is to be the gateway's alone.
  roles: () => ['api,projector', 'gateway'],
  // What may be held: snapshots that are being sent 128, replays 64, snapshots that are kept 32, and three that are being read;
  // beside the heap the unread bytes of sockets, and rows on their way from Postgres. Each frozen client for itself would need more.
  maxGrowthMb: 500,
  // Of rows this large, what is missed within seconds may be more than a replay carries (64 MiB).
  resets: true,
  load: { writers: 6, breathMs: 5 },
  watchers: ({ times, below }) => mixOf(times(100), below),
  async play(world) {
    const { load, events, times, happened, recruit } = world;
    const sleepers = await recruit(all(times(30)));
    for (let round = 0; round < times(2); round++) {
      const closed = round % 2 === 1;
      const what = closed ? 'closed' : 'left';
      const expected = (await noticed(world, what)) + sleepers.size;
      sleepers.freeze();
      happened(`${sleepers.size} clients frozen`);
      await eventually('their buffers are full', async () => {
        await load.more(5);
        return (await noticed(world, what)) >= expected;
      });
      happened(closed ? 'woken after they were closed' : 'woken');
      sleepers.thaw();
      await events(30);
      await sleepers.allLive();
    }
  },
};

export const reconnectStorm: Scenario = {
  name: 'reconnect-storm',
  title: '10,000 subscribers lose their connections and come back at once, while orders come in',
  maxGrowthMb: 200,
  load: { writers: 2, breathMs: 40 },
  watchers: () => [],
  async play(world) {
    const { events, times, below, happened, recruit, fleets } = world;
    // Rows that are watched one by one: a change goes to few, so that this machine is busy with connections.
    const crew = mixOf(times(15_000), below)
      .filter(({ view, where }) => view !== 'papers' && !where?.['status'])
      .slice(0, times(10_000));
    const half = Math.ceil(crew.length / 2);
    await Promise.all([recruit(crew.slice(0, half)), recruit(crew.slice(half))]);
    for (let round = 0; round < 2; round++) {
      await events(20 + below(40));
      for (const fleet of fleets) fleet.cut();
      happened(`${crew.length} connections cut at once`);
      await Promise.all(fleets.map((fleet) => fleet.allLive()));
    }
    await events(20);
  },
};
