/** What subscribers are connected to goes away: the gateway's process, and the Postgres behind it. */
import { mixOf } from '../mix.js';
import type { Scenario } from '../world.js';

const SUBSCRIBERS = 1_000;

export const serverKilled: Scenario = {
  name: 'server-killed',
  title: 'the process that 1,000 subscribers are at is killed with -9 while orders come in',
  // By chance it is the whole application, or the gateway alone.
  roles: (below) => (below(2) === 0 ? ['api,projector,gateway'] : ['api,projector', 'gateway']),
  maxGrowthMb: 120,
  watchers: ({ times, below }) => mixOf(times(SUBSCRIBERS), below),
  async play({ replaceGateway, events, times, below, happened }) {
    for (let round = 0; round < times(3); round++) {
      await events(40 + below(80));
      // Now and then it goes in good order: everybody is told when to come back.
      const signal = below(4) === 0 ? 'SIGTERM' : 'SIGKILL';
      happened(signal === 'SIGKILL' ? 'killed' : 'stopped');
      await replaceGateway(signal);
    }
    await events(40);
  },
};

export const postgresRestarted: Scenario = {
  name: 'postgres-restarted',
  title: 'Postgres is stopped, in order or at once, and comes back under subscribers and writes',
  server: true,
  maxGrowthMb: 120,
  watchers: ({ times, below }) => mixOf(times(SUBSCRIBERS / 2), below),
  async play({ server, events, fleets, times, below, happened }) {
    for (let round = 0; round < times(3); round++) {
      await events(40 + below(60));
      const signal = below(2) === 0 ? 'SIGQUIT' : 'SIGINT';
      const back = server.restart(signal);
      // By chance everybody comes back while there is no Postgres.
      const comeBack = below(2) === 0;
      if (comeBack) for (const fleet of fleets) fleet.cut();
      await back;
      happened(
        `Postgres ${signal === 'SIGQUIT' ? 'stopped at once' : 'stopped'}${comeBack ? ' and all subscribers cut' : ''}`,
      );
    }
    await events(40);
  },
};
