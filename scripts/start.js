/**
 * `npm start`: the orders example with everything it needs, its page too. One process from here on, so that a signal reaches
 * the application and not a parent of it. Arguments go to `tidemark start`.
 */
import path from 'node:path';
import { ensureBoard } from './board.js';
import { prepare, ROOT } from './prepare.js';

await prepare();
const given = process.argv.slice(2);
const hasOwnPage = given.some((argument) => /^--page(=|$)/.test(argument));
const asksForHelp = given.some((argument) => argument === '--help' || argument === '-h');
const board = hasOwnPage || asksForHelp ? undefined : await ensureBoard();
const { register } = await import('tsx/esm/api');
process.env['TSX_TSCONFIG_PATH'] ??= path.join(ROOT, 'tsconfig.json');
register();
const { main } = await import('../src/cli/program.ts');
const page = board === undefined ? [] : ['--page', board];
await main(['start', path.join(ROOT, 'examples/orders/app.ts'), ...page, ...given], { projectDir: ROOT });
