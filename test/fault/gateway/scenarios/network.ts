/** A network between subscribers and gateway that cuts, delays and splits. */
import { mixOf } from '../mix.js';
import type { Scenario } from '../world.js';

export const roughNetwork: Scenario = {
  name: 'rough-network',
  title: 'what goes between subscribers and gateway is cut, delayed and split',
  network: true,
  maxGrowthMb: 120,
  watchers: ({ times, below }) => mixOf(times(300), below),
  async play({ network, events, times, below, happened }) {
    network.rough = true;
    let cut = 0;
    for (let round = 0; round < times(12); round++) {
      await events(10 + below(20));
      cut += network.cut(2 + below(6));
    }
    happened(`${cut} connections cut, delays and splits`);
    network.rough = false;
    await events(20);
  },
};
