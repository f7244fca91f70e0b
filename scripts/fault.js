/** `npm run fault -- <name|all> [--seed <number>] [--scale <number>] [--minutes <number>]`: real processes, a real broker, and what breaks them. */
import { runTypeScript } from './run.js';

await runTypeScript(
  'test/fault/run.ts',
  process.argv.slice(2),
  'usage: npm run fault -- <name|all> [--seed <number>] [--scale <number>] [--minutes <number>]',
);
