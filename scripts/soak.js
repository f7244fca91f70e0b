/** `npm run soak -- <name> [options]`: runs `test/soak/<name>.ts`, a test that goes on for as long as it is told to. */
import { readdirSync } from 'node:fs';
import path from 'node:path';
import { giveUp, ROOT } from './prepare.js';
import { runTypeScript } from './run.js';

const names = readdirSync(path.join(ROOT, 'test/soak'))
  .filter((file) => file.endsWith('.ts'))
  .map((file) => file.slice(0, -3));
const [name, ...args] = process.argv.slice(2);
const usage = `usage: npm run soak -- <${names.join('|')}> [--minutes 10] [--seed <number>]`;
if (name === undefined || !names.includes(name)) giveUp(usage);

await runTypeScript(`test/soak/${name}.ts`, args, usage);
