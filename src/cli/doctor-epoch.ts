/** `tidemark doctor --new-epoch`: logs that part from Kafka go on in another epoch, from where they parted. */
import { relayedLogs } from '../app/roles/relay.js';
import type { AnyApp } from '../domain/app.js';
import { inspectLogs, isDiverged, type LogFinding } from '../outbox/mending/inspect.js';
import { mendLogs, type Mended } from '../outbox/mending/mend.js';
import { TidemarkError } from '../platform/errors.js';
import { changeLogOf } from '../projections/names.js';
import { renewEpochs } from '../projections/versions/new-epoch.js';
import { withKafka } from './doctor-kafka.js';
import { confirm } from './operations/confirm.js';
import { withApp } from './operations/connect.js';

export interface NewEpochOptions {
  readonly app?: string;
  readonly yes?: boolean;
  readonly json?: boolean;
}

/** A line for each shard of which Kafka has what Postgres does not. */
const partings = (findings: readonly LogFinding[]): string[] =>
  findings.flatMap(({ log, shards }) =>
    shards.flatMap(({ shard, diverged, fork }) =>
      diverged === undefined ? [] : [`${log.log}, shard ${shard}: ${diverged}; they agree up to seq ${fork}`],
    ),
  );

const warning = (parted: readonly LogFinding[], all: readonly LogFinding[]): string =>
  [
    'Kafka has records that this database does not have:',
    ...partings(parted).map((line) => `  ${line}`),
    `A new epoch is begun for ${all.map(({ log }) => log.log).join(', ')}, and everything after these places is sent again. What Kafka has beyond them stays there, and readers`,
    'pass it over by its epoch; other teams must know. Positions of clients in these logs expire (410), and subscribers get a reset. First make sure that this is the database you want.',
  ].join('\n');

/** Logs whose epochs are renewed together: those that part, and the changes of whatever is made of their events. */
function concerned(app: AnyApp, findings: readonly LogFinding[]) {
  const parted = new Set(findings.filter(isDiverged).map(({ log }) => log.log));
  const projections = app.projections.filter(
    (projection) =>
      parted.has(changeLogOf(projection)) ||
      projection.sources.some(({ aggregate }) => parted.has(aggregate.name)),
  );
  const names = new Set([...parted, ...projections.map(changeLogOf)]);
  return { projections, logs: findings.filter(({ log }) => names.has(log.log)) };
}

function tell(mended: readonly Mended[], json: boolean): void {
  if (json) console.log(JSON.stringify({ ok: true, mended }));
  else if (mended.length === 0) console.log('Kafka has nothing that Postgres does not: nothing was done');
  else for (const { log, epoch } of mended) console.log(`${log} goes on in epoch ${epoch}`);
}

/** @throws TidemarkError `invalid_config` without a Kafka, `broker_unavailable`, `not_confirmed`, and what `withApp` throws */
export async function beginNewEpoch(
  projectDir: string,
  { app: given, yes = false, json = false }: NewEpochOptions,
): Promise<void> {
  await withApp(projectDir, given, async (db, { app }, { config }) => {
    const { kafka } = config;
    if (kafka === undefined)
      throw new TidemarkError('invalid_config', 'KAFKA_BROKERS: expected the brokers to compare with');
    const logs = relayedLogs(app);
    const findings = await withKafka(app.name, kafka, (publisher) =>
      inspectLogs({ db, kafka: publisher, logs, shards: app.shards }),
    );
    const parted = findings.filter(isDiverged);
    if (parted.length === 0) return tell([], json);
    const { projections, logs: all } = concerned(app, findings);
    await confirm(warning(parted, all), yes);
    tell(await mendLogs(db, all, (tx) => renewEpochs(tx, projections)), json);
  });
}
