/**
 * The Kafka of a test run: KAFKA_BROKERS where that is set, else a broker of our own, started in the global setup; one for
 * the whole run. Without either, tests that need it are skipped, with one loud line; in CI that is a failure.
 */
import { Kafka, logLevel } from 'kafkajs';
import { startKafka } from './cluster.js';
import { NoKafka } from './errors.js';
import { kafkaJars } from './jars.js';
import { checkJava } from './java.js';

export interface SharedKafka {
  /** `host:port`; none: there is no Kafka here. */
  readonly brokers: readonly string[];
  /** Whether tests can start brokers of their own, to kill them. */
  readonly canStart: boolean;
  stop(): Promise<void>;
}

const WAY_OUT = 'Install Java 17 and Maven, or set KAFKA_BROKERS (enough for tests that kill no broker)';

/** @throws Error in one line */
async function reach(brokers: readonly string[]): Promise<void> {
  const client = new Kafka({
    brokers: [...brokers],
    logLevel: logLevel.NOTHING,
    connectionTimeout: 3_000,
    retry: { retries: 2 },
  });
  const admin = client.admin();
  try {
    await admin.connect();
    await admin.describeCluster();
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new Error(
      `KAFKA_BROKERS=${brokers.join(',')} cannot be reached (${why}). Start it (npm run kafka), or unset it: then the tests bring their own`,
      { cause },
    );
  } finally {
    await admin.disconnect();
  }
}

/**
 * @param env KAFKA_BROKERS and CI count
 * @throws Error when KAFKA_BROKERS cannot be reached; in CI, where there is no Kafka
 */
export async function sharedKafka(env: NodeJS.ProcessEnv = process.env): Promise<SharedKafka> {
  const stop = async (): Promise<void> => undefined;
  const given = (env['KAFKA_BROKERS'] ?? '').split(',').flatMap((broker) => broker.trim() || []);
  if (given.length > 0) await reach(given);
  try {
    if (given.length === 0) return { ...(await startKafka()), canStart: true };
    await checkJava();
    await kafkaJars();
    return { brokers: given, canStart: true, stop };
  } catch (error) {
    if (!(error instanceof NoKafka)) throw error;
    const why = `${given.length > 0 ? 'NO KAFKA OF OUR OWN' : 'NO KAFKA'}: ${error.message}`;
    if (env['CI']) throw new Error(`${why}; in CI that is a failure. ${WAY_OUT}.`, { cause: error });
    console.warn(`\n!!! ${why}. Tests that need one are SKIPPED. ${WAY_OUT}.\n`);
    return { brokers: given, canStart: false, stop };
  }
}
