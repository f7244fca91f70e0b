/**
 * Projectors of the torn application in a process of their own, for tests that kill it or let it stand still. Arguments: the
 * database's URL, events in a batch. It reads lines: `hold` keeps the next write back and says `held`, `go` lets it through.
 * It says `ready`, and what became of its writes: `conflict <kind> <projection>`, `wrote <projection>`.
 */
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { Database } from '../../../src/platform/postgres/database.js';
import { startProjecting } from '../projecting.js';
import { torn } from './app.js';

const [url = '', maxBatch = '50'] = process.argv.slice(2);

const held: (() => void)[] = [];
let holding = false;
const query = Object.getOwnPropertyDescriptor(Database.prototype, 'query')?.value as Database['query'];
Database.prototype.query = async function <R extends readonly unknown[]>(
  this: Database,
  text: string,
  values: readonly unknown[] = [],
  name?: string,
): Promise<R[]> {
  if (holding && name?.startsWith('_apply') === true) {
    holding = false;
    const gone = new Promise<void>((resolve) => held.push(resolve));
    console.log(`held ${name}`);
    await gone;
  }
  return query.call(this, text, values, name) as Promise<R[]>;
};

createInterface({ input: process.stdin }).on('line', (line) => {
  if (line === 'hold') holding = true;
  if (line === 'go') for (const release of held.splice(0)) release();
});

const one = await startProjecting(url, torn, {
  beatMs: 50,
  ttlMs: 1_000,
  tuning: { maxBatch: Number(maxBatch) },
  observer: {
    wrote: ({ projection }) => console.log(`wrote ${projection}`),
    conflict: ({ projection, kind }) => console.log(`conflict ${kind} ${projection}`),
    halted: ({ projection }) => console.log(`halted ${projection}`),
  },
});
process.once('SIGTERM', () => void one.stop().then(() => process.exit(0)));
// Whoever started it is gone.
void once(process.stdin, 'close').then(() => process.kill(process.pid, 'SIGKILL'));
console.log('ready');
