/**
 * `npm start`: the orders example with everything it needs. One process from here on, so that a signal reaches the
 * application and not a parent of it. Arguments go to `tidemark start`.
 */
import path from 'node:path';
import { prepare, ROOT } from './prepare.js';

await prepare();
const { register } = await import('tsx/esm/api');
process.env['TSX_TSCONFIG_PATH'] ??= path.join(ROOT, 'tsconfig.json');
register();
const { main } = await import('../src/cli/program.ts');
await main(['start', path.join(ROOT, 'examples/orders/app.ts'), ...process.argv.slice(2)], {
  projectDir: ROOT,
});
