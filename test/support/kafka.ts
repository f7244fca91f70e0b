/** What tests take of the run's Kafka: its brokers, tools, names of their own, and suites that are skipped where there is none. */
import { randomBytes } from 'node:crypto';
import { describe, inject } from 'vitest';
import { kafkaTools } from './kafka/tools.js';

/** `host:port` of the run's brokers; none where there is no Kafka. */
export const kafkaBrokers: readonly string[] = inject('kafkaBrokers');

/** Topics, records in, all records out. For a cluster of one's own: `kafkaTools(cluster.brokers)` of kafka/tools.ts. */
export const kafka = kafkaTools(kafkaBrokers);

/** A suite that needs a Kafka. */
export const describeKafka = describe.skipIf(kafkaBrokers.length === 0);

/** A suite that starts brokers of its own (kafka/cluster.ts), to kill them; a Kafka that was given will not do. */
export const describeKafkaCluster = describe.skipIf(!inject('canStartKafka'));

/** A name for an application, so that its topics and groups are this test's alone. */
export const uniqueName = (prefix = 'app'): string => `${prefix}_${randomBytes(6).toString('hex')}`;
