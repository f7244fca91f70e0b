/** The Java that runs Kafka. */
import { execFile } from 'node:child_process';
import path from 'node:path';
import { promisify } from 'node:util';
import { NoKafka } from './errors.js';

const NEEDED = 17;

/** JAVA_HOME's, else the one on the PATH. */
export const javaCommand = (): string => {
  const home = process.env['JAVA_HOME'];
  return home ? path.join(home, 'bin', 'java') : 'java';
};

/** @throws NoKafka where there is none, or an old one */
export async function checkJava(): Promise<void> {
  const said = await promisify(execFile)(javaCommand(), ['-version'], { timeout: 30_000 }).then(
    ({ stderr }) => stderr,
    () => undefined,
  );
  if (said === undefined) throw new NoKafka(`there is no Java here; Kafka needs Java ${NEEDED} or newer`);
  const [, first, second] = /version "(\d+)(?:\.(\d+))?/.exec(said) ?? [];
  const major = Number(first === '1' ? second : first);
  if (major < NEEDED)
    throw new NoKafka(`Java ${major} is too old; Kafka needs ${NEEDED} or newer (set JAVA_HOME)`);
}

/** Arguments of a main class of Kafka: its log on standard error, warnings and what brokers say of their start. */
export const javaArguments = (jars: string, memory: readonly string[], main: readonly string[]): string[] => [
  ...memory,
  // Short-lived or small: what a collector and a compiler for servers gain, they cost at the start.
  '-XX:+UseSerialGC',
  '-XX:TieredStopAtLevel=1',
  '-Dorg.slf4j.simpleLogger.defaultLogLevel=warn',
  '-Dorg.slf4j.simpleLogger.log.kafka.server.KafkaRaftServer=info',
  '-Dorg.slf4j.simpleLogger.showDateTime=true',
  '-Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS',
  '-cp',
  path.join(jars, '*'),
  ...main,
];
