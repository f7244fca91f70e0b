/** `tidemark doctor`: is everything there, and is the data as it must be? */
import { Command } from 'commander';
import { messageOf } from '../platform/errors.js';
import { loadUws } from '../realtime/sockets/uws/load.js';
import { withDatabase } from './connect.js';
import { databaseChecks } from './doctor-database.js';
import { beginNewEpoch, type NewEpochOptions } from './doctor-epoch.js';
import { kafkaChecks } from './doctor-kafka.js';
import { APP_OPTION } from './operations/connect.js';
import type { Surroundings } from './program.js';

export interface Check {
  readonly name: string;
  /** `note`: worth knowing, nothing is broken. */
  readonly status: 'ok' | 'note' | 'fail';
  readonly detail: string;
}

function nodeCheck(): Check {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  const fits = major > 20 || (major === 20 && minor >= 19);
  const detail = fits ? process.versions.node : `${process.versions.node}; 20.19 or newer is needed`;
  return { name: 'node', status: fits ? 'ok' : 'fail', detail };
}

function socketCheck(): Check {
  const uws = loadUws();
  if (uws.library) return { name: 'sockets', status: 'ok', detail: 'uWebSockets.js' };
  return { name: 'sockets', status: 'note', detail: `ws, as ${uws.reason}` };
}

async function allChecks(projectDir: string, app: string | undefined): Promise<Check[]> {
  const checks = [nodeCheck(), socketCheck()];
  try {
    await withDatabase({ projectDir, create: false }, async (connection) => {
      const found = await databaseChecks(connection);
      checks.push(...found);
      // Without the schema there is nothing to compare.
      if (found.every(({ name, status }) => name !== 'schema' || status === 'ok'))
        checks.push(...(await kafkaChecks(connection, projectDir, app)));
    });
  } catch (error) {
    checks.push({ name: 'postgres', status: 'fail', detail: messageOf(error) });
  }
  return checks;
}

export function doctorCommand({ projectDir }: Surroundings): Command {
  return new Command('doctor')
    .description(
      'check Node, the sockets, Postgres, the schema, the logs and the projections; with KAFKA_BROKERS, Kafka too',
    )
    .option(...APP_OPTION)
    .option('--new-epoch', 'mend logs of which Kafka has records that Postgres does not (log_diverged)')
    .option('--yes', 'do not ask')
    .option('--json', 'print JSON')
    .action(async ({ newEpoch, ...options }: NewEpochOptions & { readonly newEpoch?: boolean }) => {
      if (newEpoch) return beginNewEpoch(projectDir, options);
      const { app, json } = options;
      const checks = await allChecks(projectDir, app);
      const ok = checks.every(({ status }) => status !== 'fail');
      if (json) console.log(JSON.stringify({ ok, checks }));
      else
        for (const { name, status, detail } of checks)
          console.log(`${status.padEnd(5)} ${name.padEnd(14)} ${detail}`);
      if (!ok) process.exitCode = 1;
    });
}
