/** The scenarios of the gateway: each has a database of its own, and a Postgres server where it stops it. */
import { FailingPostgres } from '../stage/failing-postgres.js';
import type { Playable } from '../stage/playable.js';
import { lineOf } from './line.js';
import { SCENARIOS } from './scenarios/all.js';
import { runScenario, type Place, type Scenario } from './world.js';

async function withPlace<T>(
  scenario: Scenario,
  postgresUrl: string,
  work: (place: Place) => Promise<T>,
): Promise<T> {
  if (!scenario.server) return work({ postgresUrl });
  const server = await FailingPostgres.start();
  try {
    return await work({ postgresUrl: server.url, server });
  } finally {
    await server.stop();
  }
}

export const GATEWAY_PLAYABLES: readonly Playable[] = SCENARIOS.map((scenario) => ({
  name: scenario.name,
  title: scenario.title,
  async play({ seed, scale, postgresUrl }) {
    const outcome = await withPlace(scenario, postgresUrl, (place) =>
      runScenario(scenario, place, { seed, scale }),
    );
    return { line: lineOf(scenario.name, outcome), faults: outcome.faults, folder: outcome.folder };
  },
}));
