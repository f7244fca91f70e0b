/** The scenarios with a Kafka: each run has brokers of its own, and a Postgres where it needs one. */
import { startKafka } from '../../support/kafka/cluster.js';
import { FailingPostgres } from '../stage/failing-postgres.js';
import type { Playable } from '../stage/playable.js';
import { lineOf } from './line.js';
import { SCENARIOS } from './scenarios/all.js';
import { runScenario, type Place, type Scenario } from './world.js';

/** What it leaves behind disturbs no other. */
async function withPlace<T>(
  scenario: Scenario,
  shared: string,
  work: (place: Place) => Promise<T>,
): Promise<T> {
  const cluster = await startKafka({ brokers: scenario.brokers ?? 1 });
  try {
    const own = { brokers: cluster.brokers, cluster };
    if (!scenario.server) return await work({ ...own, postgresUrl: shared });
    const server = await FailingPostgres.start();
    try {
      return await work({ ...own, postgresUrl: server.url, server });
    } finally {
      await server.stop();
    }
  } finally {
    await cluster.stop();
  }
}

export const KAFKA_PLAYABLES: readonly Playable[] = SCENARIOS.map((scenario) => ({
  name: scenario.name,
  title: scenario.title,
  async play({ seed, scale, postgresUrl }) {
    const outcome = await withPlace(scenario, postgresUrl, (place) =>
      runScenario(scenario, place, { seed, scale }),
    );
    return { line: lineOf(scenario.name, outcome), faults: outcome.faults, folder: outcome.folder };
  },
}));
