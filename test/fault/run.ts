/** What `npm run fault -- <name|gateway|kafka|all>` does: runs scenarios on a Postgres of its own, and prints a line for each. */
import { parseArgs } from 'node:util';
import { startTemporaryPostgres } from '../../src/app/embedded/temporary.js';
import { GATEWAY_PLAYABLES } from './gateway/playables.js';
import { KAFKA_PLAYABLES } from './kafka/playables.js';
import type { Playable } from './stage/playable.js';

/** Names of several. */
const GROUPS: Readonly<Record<string, readonly Playable[]>> = {
  gateway: GATEWAY_PLAYABLES,
  kafka: KAFKA_PLAYABLES,
  all: [...GATEWAY_PLAYABLES, ...KAFKA_PLAYABLES],
};

const listed = (playables: readonly Playable[]): string =>
  playables.map(({ name, title }) => `  ${name.padEnd(18)} ${title}`).join('\n');

const USAGE = `usage: npm run fault -- <name|${Object.keys(GROUPS).join('|')}> [--seed <number>] [--scale <number>] [--minutes <number>]

gateway, without a Kafka:
${listed(GATEWAY_PLAYABLES)}

kafka:
${listed(KAFKA_PLAYABLES)}

  --seed     of the schedule; a random one unless told otherwise. A round of --minutes counts it up.
  --scale    how much of everything; 1 unless told otherwise
  --minutes  again and again, for so long`;

interface Wanted {
  readonly playables: readonly Playable[];
  readonly seed: number;
  readonly scale: number;
  readonly minutes: number;
}

/** @returns undefined when it is no scenario or group */
const named = (name: string): readonly Playable[] | undefined => {
  const one = GROUPS['all']?.filter((playable) => playable.name === name) ?? [];
  return one.length > 0 ? one : GROUPS[name];
};

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
  const playables = positionals.flatMap((name) => named(name) ?? []);
  const known = positionals.every((name) => named(name) !== undefined);
  if (!known || playables.length === 0 || !Number.isInteger(seed) || !(scale > 0) || !(minutes >= 0))
    return undefined;
  return { playables, seed, scale, minutes };
}

/** @returns whether all was well */
async function runOne(
  playable: Playable,
  postgresUrl: string,
  seed: number,
  scale: number,
): Promise<boolean> {
  const { line, faults, folder } = await playable.play({ seed, scale, postgresUrl });
  console.log(line);
  for (const fault of faults) console.log(`  FAULT ${fault}`);
  if (faults.length > 0) console.log(`  logs of its processes: ${folder}`);
  return faults.length === 0;
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
    let { seed } = all;
    do {
      for (const playable of all.playables)
        if (!(await runOne(playable, postgres.url, seed, all.scale))) process.exitCode = 1;
      seed++;
    } while (performance.now() < until && process.exitCode !== 1);
  } finally {
    await postgres.stop();
  }
  console.log(process.exitCode === 1 ? 'faults were found' : 'no fault was found');
}

await main();
