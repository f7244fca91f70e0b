/** What `npm run fault -- <name|all>` does: runs scenarios on a Postgres and a Kafka of its own, and prints a line for each. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { startTemporaryPostgres } from '../../../src/app/embedded/temporary.js';
import { startKafka } from '../../support/kafka/cluster.js';
import { lineOf } from './line.js';
import { SCENARIOS } from './scenarios/all.js';
import { runScenario, type OwnCluster, type Place, type Scenario } from './world.js';

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

/** A Kafka of its own for one run of one scenario: what it leaves behind disturbs no other. */
async function withCluster<T>(brokers: 1 | 3, work: (cluster: OwnCluster) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(path.join(tmpdir(), 'tidemark-fault-kafka-'));
  try {
    const cluster = await startKafka({ brokers, folder });
    try {
      return await work({ ...cluster, folder });
    } finally {
      await cluster.stop();
    }
  } finally {
    await rm(folder, { recursive: true, force: true, maxRetries: 5 });
  }
}

/** @returns whether all was well */
async function runOne(scenario: Scenario, postgresUrl: string, { seed, scale }: Wanted): Promise<boolean> {
  const outcome = await withCluster(scenario.brokers ?? 1, (cluster) => {
    const place: Place = { postgresUrl, brokers: cluster.brokers, cluster };
    return runScenario(scenario, place, { seed, scale });
  });
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
