/** `npm run fault -- <name|all> [--seed <number>] [--scale <number>] [--minutes <number>]`: real processes, a real broker, and what breaks them. */
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { prepare, ROOT } from './prepare.js';

await prepare();
const { register } = await import('tsx/esm/api');
process.env['TSX_TSCONFIG_PATH'] ??= path.join(ROOT, 'tsconfig.json');
register();
await import(pathToFileURL(path.join(ROOT, 'test/fault/run.ts')).href);
