/** The checks of `tidemark doctor` that ask Postgres. */
import { auditEventLogs } from '../event-store/listing.js';
import { messageOf } from '../platform/errors.js';
import { serverFacts } from '../platform/postgres/facts.js';
import { schemaVersion } from '../platform/postgres/migrate.js';
import { auditChangeLogs, projectionProgress } from '../projections/audit.js';
import { listProjections } from '../projections/operations/list.js';
import type { VersionReport } from '../projections/operations/types.js';
import type { Connection } from './connect.js';
import type { Check } from './doctor.js';
import { count } from './words.js';

interface Audited {
  readonly log: string;
  readonly shard: number;
  readonly head: number;
  readonly missing: number;
}

function wholeness(name: string, shards: readonly Audited[]): Check {
  const broken = shards.filter(({ missing }) => missing !== 0);
  if (broken.length > 0) {
    const places = broken.map(({ log, shard, missing }) => `${log}/${shard} lacks ${missing}`);
    return { name, status: 'fail', detail: `holes: ${places.join(', ')}` };
  }
  const entries = shards.reduce((sum, { head }) => sum + head, 0);
  const logs = new Set(shards.map(({ log }) => log)).size;
  return { name, status: 'ok', detail: `${entries} entries in ${logs} logs, no hole` };
}

/** What the version itself has to say, where that is more than how far it is. */
function standing({ name, state, reason, stops, parkedKeys }: VersionReport): string | undefined {
  const why = reason ?? stops[0]?.reason;
  if (state === 'halted' || state === 'needs_newer_code')
    return `${state}${why === undefined ? '' : `: ${why}`}`;
  if (parkedKeys > 0)
    return `${count(parkedKeys, 'key is', 'keys are')} parked: see tidemark parked list ${name}`;
  return state === 'paused' || state === 'building' ? state : undefined;
}

async function progressChecks({ database }: Connection): Promise<Check[]> {
  const found = await projectionProgress(database);
  const reports = await listProjections(database);
  return found.map(({ projection, version, source, behind, ahead }) => {
    const name = `${projection}.v${version}`;
    if (ahead > 0)
      return {
        name,
        status: 'fail',
        detail: `${ahead} checkpoints are past the head of ${source}: was the database restored?`,
      };
    const report = reports.find((one) => one.name === projection && one.version === version);
    const matter = report && standing(report);
    if (matter !== undefined) return { name, status: 'note', detail: matter };
    if (behind > 0) return { name, status: 'note', detail: `${behind} events of ${source} behind` };
    return { name, status: 'ok', detail: `has all of ${source}` };
  });
}

async function schemaCheck({ database }: Connection): Promise<Check> {
  const { stored, known, changed } = await schemaVersion(database);
  const name = 'schema';
  if (changed.length > 0)
    return {
      name,
      status: 'fail',
      detail: `"${database.schema}" was made with another text of ${changed.join(', ')}`,
    };
  if (stored === known) return { name, status: 'ok', detail: `"${database.schema}" at ${stored}` };
  if (stored > known)
    return {
      name,
      status: 'fail',
      detail: `"${database.schema}" at ${stored}, this version of Tidemark knows ${known}`,
    };
  return {
    name,
    status: 'fail',
    detail: `"${database.schema}" at ${stored} of ${known}; run tidemark migrate`,
  };
}

/** Each check of the data, or that it could not be made. */
async function attempt(name: string, check: () => Promise<Check | Check[]>): Promise<Check[]> {
  try {
    return [await check()].flat();
  } catch (error) {
    return [{ name, status: 'fail', detail: messageOf(error) }];
  }
}

export async function databaseChecks(connection: Connection): Promise<Check[]> {
  const { database, shown } = connection;
  const facts = await serverFacts(database);
  const old = facts.versionNumber < 150_000;
  const checks: Check[] = [
    {
      name: 'postgres',
      status: old ? 'fail' : 'ok',
      detail: `${facts.version}${old ? ' (15 or newer is needed)' : ''}, ${shown}`,
    },
  ];
  if (facts.unsafe.length > 0)
    checks.push({
      name: 'durability',
      status: 'note',
      detail: `${facts.unsafe.join(', ')}: acknowledged events can be lost in a crash`,
    });
  const schema = await schemaCheck(connection);
  checks.push(schema);
  if (schema.status !== 'ok') return checks;
  checks.push(
    ...(await attempt('event logs', async () => wholeness('event logs', await auditEventLogs(database)))),
    ...(await attempt('change logs', async () => wholeness('change logs', await auditChangeLogs(database)))),
    ...(await attempt('projections', () => progressChecks(connection))),
  );
  return checks;
}
