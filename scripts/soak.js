/** `npm run soak -- <name> [options]`: runs `test/soak/<name>.ts`, a test that goes on for as long as it is told to. */
import { readdirSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { giveUp, prepare, ROOT } from './prepare.js';

const names = readdirSync(path.join(ROOT, 'test/soak'))
  .filter((file) => file.endsWith('.ts'))
  .map((file) => file.slice(0, -3));
const [name, ...args] = process.argv.slice(2);
if (name === undefined || !names.includes(name))
  giveUp(`usage: npm run soak -- <${names.join('|')}> [--minutes 10] [--seed <number>]`);

await prepare();
const { register } = await import('tsx/esm/api');
process.env['TSX_TSCONFIG_PATH'] ??= path.join(ROOT, 'tsconfig.json');
register();
const file = path.join(ROOT, 'test/soak', `${name}.ts`);
process.argv = [process.argv[0], file, ...args];
await import(pathToFileURL(file).href);
