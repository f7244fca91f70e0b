/** The checks of `tidemark doctor` that ask Kafka: is it there, are the topics as they must be, and how far is the relay. */
import { KafkaPublisher } from '../broker/kafka/publisher.js';
import { shownBrokers } from '../app/kafka-variables.js';
import { relayedLogs } from '../app/roles/relay.js';
import type { AnyApp } from '../domain/app.js';
import { inspectLogs, isDiverged, type LogFinding } from '../outbox/mending/inspect.js';
import { readPending } from '../outbox/pending.js';
import { messageOf } from '../platform/errors.js';
import { createLogger } from '../platform/logger.js';
import type { Config } from '../app/config.js';
import { loadAppModule } from './app-module.js';
import type { Connection } from './connect.js';
import type { Check } from './doctor.js';
import { count, duration } from './words.js';

type KafkaOf = NonNullable<Config['kafka']>;

/** Runs `work` with a publisher of the application, and ends its connections. */
export async function withKafka<T>(
  app: string,
  kafka: KafkaOf,
  work: (publisher: KafkaPublisher) => Promise<T>,
): Promise<T> {
  const logger = createLogger({
    level: 'error',
    destination: { write: (line) => process.stderr.write(line) },
  });
  const publisher = new KafkaPublisher({ settings: { ...kafka, clientId: app }, app, logger });
  try {
    return await work(publisher);
  } finally {
    await publisher.stop();
  }
}

function topicChecks(findings: readonly LogFinding[], shards: number): Check {
  const name = 'topics';
  const wrong = findings.filter(({ partitions }) => partitions !== undefined && partitions !== shards);
  const missing = findings.filter(({ partitions }) => partitions === undefined);
  if (wrong.length > 0) {
    const places = wrong.map(({ topic, partitions }) => `${topic} has ${partitions}`);
    return { name, status: 'fail', detail: `expected ${count(shards, 'partition')}: ${places.join(', ')}` };
  }
  if (missing.length > 0) {
    const places = missing.map(({ topic }) => topic).join(', ');
    return { name, status: 'note', detail: `not there yet, made by the relay: ${places}` };
  }
  const detail = `${count(findings.length, 'topic')} of ${count(shards, 'partition')}`;
  return { name, status: 'ok', detail };
}

/** Shards of a log that are named; the others are counted. */
const SHARDS_NAMED = 3;

/** A line for each log that has diverged. */
function agreement(findings: readonly LogFinding[]): Check[] {
  const name = 'agreement';
  const apart = findings.filter(isDiverged);
  if (apart.length === 0) return [{ name, status: 'ok', detail: 'Kafka has nothing that Postgres does not' }];
  return apart.map(({ log, shards }) => {
    const places = shards.flatMap(({ shard, diverged }) =>
      diverged === undefined ? [] : [`${log.log}, shard ${shard}: ${diverged}`],
    );
    const more = places.length - SHARDS_NAMED;
    const named =
      places.slice(0, SHARDS_NAMED).join('; ') + (more > 0 ? `; and ${count(more, 'shard')} more` : '');
    const detail = `log_diverged: ${named}; see tidemark doctor --new-epoch, which names all and asks first`;
    return { name, status: 'fail', detail };
  });
}

async function relayChecks({ database }: Connection, logs: readonly string[]): Promise<Check[]> {
  const pending = await readPending(database, logs);
  return pending.map(({ log, entries, oldest }) => {
    const name = `relay of ${log}`;
    if (entries === 0) return { name, status: 'ok', detail: 'Kafka has all of it' };
    const since = oldest === undefined ? '' : `, the oldest for ${duration(Date.now() - Date.parse(oldest))}`;
    return { name, status: 'note', detail: `${count(entries, 'entry waits', 'entries wait')}${since}` };
  });
}

async function appChecks(connection: Connection, kafka: KafkaOf, app: AnyApp): Promise<Check[]> {
  const logs = relayedLogs(app);
  const { database: db } = connection;
  const findings = await withKafka(app.name, kafka, (publisher) =>
    inspectLogs({ db, kafka: publisher, logs, shards: app.shards }),
  );
  const names = logs.map(({ log }) => log);
  return [
    topicChecks(findings, app.shards),
    ...agreement(findings),
    ...(await relayChecks(connection, names)),
  ];
}

/** None where there is no Kafka. @param given path of the application's module */
export async function kafkaChecks(
  connection: Connection,
  projectDir: string,
  given: string | undefined,
): Promise<Check[]> {
  const { kafka } = connection.config;
  if (kafka === undefined) return [];
  const shown = shownBrokers(kafka);
  try {
    const brokers = await withKafka('tidemark', kafka, (publisher) => publisher.brokers());
    const there: Check = { name: 'kafka', status: 'ok', detail: `${count(brokers, 'broker')}, ${shown}` };
    const app = await loadAppModule(projectDir, given).catch((error: unknown) => messageOf(error));
    if (typeof app === 'string')
      return [there, { name: 'topics', status: 'note', detail: `not looked at: ${app}` }];
    return [there, ...(await appChecks(connection, kafka, app.app))];
  } catch (error) {
    return [{ name: 'kafka', status: 'fail', detail: `${shown}: ${messageOf(error)}` }];
  }
}
