/** `tidemark doctor --new-epoch`, as an operator types it. */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { NAME_VARIABLE } from './app.js';
import type { World } from './world.js';

const run = promisify(execFile);
const fromHere = (place: string): string => fileURLToPath(new URL(place, import.meta.url));

/** @returns what it printed @throws Error with that when it ends with another code than 0 */
export async function runDoctor({ app, databases, brokers }: World): Promise<string> {
  const args = [
    fromHere('../../../bin/tidemark.js'),
    'doctor',
    '--new-epoch',
    '--yes',
    '--app',
    fromHere('../../support/faults-app.ts'),
  ];
  const env = {
    ...process.env,
    [NAME_VARIABLE]: app.name,
    DATABASE_URL: databases.url,
    KAFKA_BROKERS: brokers.join(','),
  };
  return (await run(process.execPath, args, { env, timeout: 60_000 })).stdout;
}
