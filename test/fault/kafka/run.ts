/** What `npm run fault -- <name|all>` does: runs scenarios on a Postgres and a Kafka of its own, and prints a line for each. */
import { parseArgs } from 'node:util';
import { startTemporaryPostgres } from '../../../src/app/embedded/temporary.js';
import { startKafka } from '../../support/kafka/cluster.js';
import { FailingPostgres } from './failing-postgres.js';
import { lineOf } from './line.js';
import { SCENARIOS } from './scenarios/all.js';
import { runScenario, type Place, type Scenario } from './world.js';

const USAGE = `usage: npm run fault -- <name|all> [--seed <number>] [--scale <number>] [--minutes <number>]

${SCENARIOS.map(({ name, title }) => `  ${name.padEnd(18)} ${title}`).join('\n')}

  --seed     of the schedule; a random one unless told otherwise. A round of --minutes counts it up.
  --scale    how much of everything; 1 unless told otherwise
  --minutes  again and again, for so long`;

interface Wanted {
  readonly scenarios: readonly Scenario[];
  readonly seed: number;
  readonly scale: number;
  readonly minutes: number;
}

function wanted(): Wanted | undefined {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      seed: { type: 'string', default: String(Date.now() % 1_000_000) },
      scale: { type: 'string', default: '1' },
      minutes: { type: 'string', default: '0' },
    },
  });
  const [seed, scale, minutes] = [Number(values.seed), Number(values.scale), Number(values.minutes)];
  const scenarios = SCENARIOS.filter(({ name }) => positionals.includes(name) || positionals.includes('all'));
  const known = positionals.every((name) => name === 'all' || SCENARIOS.some((one) => one.name === name));
  if (!known || scenarios.length === 0 || !Number.isInteger(seed) || !(scale > 0) || !(minutes >= 0))
    return undefined;
  return { scenarios, seed, scale, minutes };
}

/** A Kafka of its own for each run of a scenario, and a Postgres where it needs one: what it leaves behind disturbs no other. */
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

/** @returns whether all was well */
async function runOne(scenario: Scenario, postgresUrl: string, { seed, scale }: Wanted): Promise<boolean> {
  const outcome = await withPlace(scenario, postgresUrl, (place) =>
    runScenario(scenario, place, { seed, scale }),
  );
  console.log(lineOf(scenario.name, outcome));
  for (const fault of outcome.faults) console.log(`  FAULT ${fault}`);
  if (outcome.faults.length > 0) console.log(`  logs of its processes: ${outcome.folder}`);
  return outcome.faults.length === 0;
}

async function main(): Promise<void> {
  const all = wanted();
  if (!all) {
    console.error(USAGE);
    process.exitCode = 2;
    return;
  }
  const postgres = await startTemporaryPostgres();
  const until = performance.now() + all.minutes * 60_000;
  try {
    let seed = all.seed;
    do {
      for (const scenario of all.scenarios)
        if (!(await runOne(scenario, postgres.url, { ...all, seed }))) process.exitCode = 1;
      seed++;
    } while (performance.now() < until && process.exitCode !== 1);
  } finally {
    await postgres.stop();
  }
  console.log(process.exitCode === 1 ? 'faults were found' : 'no fault was found');
}

await main();
