/**
 * Builds a projection of test/support/bank.ts in a process of its own, for tests that kill or freeze it. Arguments: the database's URL and
 * the projection's name. Prints a line at each turn of the build, and waits for a byte before it goes on; then one with its end.
 */
import { writeSync } from 'node:fs';
import { Accounts, Owners } from './bank.js';
import { build } from './building.js';

const [url = '', name = ''] = process.argv.slice(2);
const view = name === 'accounts' ? Accounts : Owners;

let allowed = 0;
let go: () => void = () => undefined;
process.stdin.on('data', (bytes) => {
  allowed += bytes.length;
  go();
});

const outcome = await build(url, view, {
  flushMs: 0,
  turn: async () => {
    writeSync(1, 'turn\n');
    while (allowed === 0) await new Promise<void>((resolve) => (go = resolve));
    allowed--;
  },
});
writeSync(1, `${outcome.kind}\n`);
process.stdin.destroy();
