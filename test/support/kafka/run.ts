/** What `npm run kafka` does: starts the brokers, says how to use them, and stops them on a signal. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { startKafka, type KafkaClusterOptions } from './cluster.js';
import { KafkaStartError, NoKafka } from './errors.js';

class Usage extends Error {}

function wrong(expected: string): never {
  throw new Usage(`expected ${expected}`);
}

function options(): KafkaClusterOptions {
  try {
    const { values } = parseArgs({
      options: {
        brokers: { type: 'string', default: '1' },
        port: { type: 'string', default: '9092' },
        folder: { type: 'string' },
      },
    });
    const [brokers, port] = [Number(values.brokers), Number(values.port)];
    if (brokers !== 1 && brokers !== 3) return wrong('--brokers 1 or --brokers 3');
    if (!Number.isInteger(port) || port < 1 || port > 65_533) return wrong('--port from 1 to 65533');
    return { brokers, port, ...(values.folder ? { folder: path.resolve(values.folder) } : {}) };
  } catch (error) {
    if (error instanceof Usage) throw error;
    return wrong(
      `--brokers, --port and --folder (${error instanceof Error ? error.message : String(error)})`,
    );
  }
}

try {
  const wanted = options();
  const cluster = await startKafka(wanted);
  const kept = wanted.folder === undefined ? 'its data goes with it' : 'its data stays';
  console.log(
    `Kafka is up. In another terminal:\n\n  export KAFKA_BROKERS=${cluster.brokers.join(',')}\n\nCtrl-C stops it; ${kept}. Logs: ${cluster.nodes.map(({ log }) => log).join(', ')}`,
  );
  // Its processes are what keeps this one alive.
  let stopping = false;
  process.once('beforeExit', () => {
    if (stopping) return;
    const said = cluster.nodes.map(({ log }) => readFileSync(log, 'utf8').slice(-1_000));
    console.error(
      `npm run kafka: the brokers have ended by themselves; the last that they said:\n${said.join('\n')}`,
    );
    process.exitCode = 1;
  });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
    process.once(signal, () => {
      stopping = true;
      void cluster.stop();
    });
} catch (error) {
  const known = error instanceof NoKafka || error instanceof KafkaStartError || error instanceof Usage;
  console.error(known ? `npm run kafka: ${error.message}` : error);
  process.exitCode = error instanceof Usage ? 2 : 1;
}
