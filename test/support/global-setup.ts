/** Starts the one Postgres server and the one Kafka broker of a test run and tells the workers where they are; nothing is left behind. */
import type { TestProject } from 'vitest/node';
import { startTemporaryPostgres } from '../../src/app/embedded/temporary.js';
import { sharedKafka } from './kafka/shared.js';

declare module 'vitest' {
  export interface ProvidedContext {
    /** Of a role that may create databases. */
    postgresUrl: string;
    /** `host:port`; none where there is no Kafka. */
    kafkaBrokers: readonly string[];
    /** Whether tests can start brokers of their own. */
    canStartKafka: boolean;
  }
}

type Stop = () => Promise<void>;

async function postgres(project: TestProject): Promise<Stop> {
  const given = process.env['TIDEMARK_TEST_DATABASE_URL'];
  const server = given ? { url: given, stop: async () => undefined } : await startTemporaryPostgres();
  project.provide('postgresUrl', server.url);
  return () => server.stop();
}

/** Whether tests other than unit tests are asked for; a broker takes seconds to start. */
function wantsKafka(): boolean {
  const filters = process.argv.slice(2).filter((each) => each !== 'run' && !each.startsWith('-'));
  return filters.length === 0 || filters.some((filter) => !/^test\/(unit|browser)(\/|$)/.test(filter));
}

async function kafka(project: TestProject): Promise<Stop> {
  const none = { brokers: [], canStart: false, stop: async () => undefined };
  const server = wantsKafka() ? await sharedKafka() : none;
  // Programs that tests start have a Kafka where a test says so, not because the run was given one.
  delete process.env['KAFKA_BROKERS'];
  project.provide('kafkaBrokers', server.brokers);
  project.provide('canStartKafka', server.canStart);
  return () => server.stop();
}

export default async function setup(project: TestProject): Promise<Stop> {
  const started = await Promise.allSettled([postgres(project), kafka(project)]);
  const stop = async (): Promise<void> => {
    await Promise.all(started.map((one) => (one.status === 'fulfilled' ? one.value() : undefined)));
  };
  const failed = started.find((one) => one.status === 'rejected');
  if (!failed) return stop;
  await stop();
  throw failed.reason;
}
