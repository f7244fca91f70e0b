/**
 * The Kafka of a test run: KAFKA_BROKERS where that is set, else a broker of our own, started in the global setup; one for
 * the whole run. Without either, tests that need it are skipped, with one loud line; in CI that is a failure.
 */
import { startKafka, type KafkaCluster } from './cluster.js';
import { NoKafka } from './jars.js';

export interface SharedKafka {
  /** `host:port`; none: there is no Kafka here. */
  readonly brokers: readonly string[];
  stop(): Promise<void>;
}

/** @throws Error in CI where there is no Kafka */
export async function sharedKafka(): Promise<SharedKafka> {
  const nothing = async (): Promise<void> => undefined;
  const given = process.env['KAFKA_BROKERS']?.split(',').map((broker) => broker.trim());
  if (given !== undefined && given.some((broker) => broker !== '')) return { brokers: given, stop: nothing };
  try {
    const cluster: KafkaCluster = await startKafka();
    return cluster;
  } catch (error) {
    if (!(error instanceof NoKafka) || process.env['CI']) throw error;
    console.warn(
      `\n!!! NO KAFKA: ${error.message}. Tests that need one are SKIPPED. Install Java 17 and Maven, or set KAFKA_BROKERS.\n`,
    );
    return { brokers: [], stop: nothing };
  }
}
