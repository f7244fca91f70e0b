/** `npm run kafka [-- --brokers 3 --port 9092]`: a real Kafka for development, on this machine, until it is interrupted. */
import { runTypeScript } from './run.js';

await runTypeScript(
  'test/support/kafka/run.ts',
  process.argv.slice(2),
  'usage: npm run kafka [-- --brokers 3 --port 9092 --folder <path>]',
);
