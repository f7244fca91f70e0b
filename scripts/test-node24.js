/**
 * `npm run test:node24`: the tests on Node 24, which npm fetches as the package `node`. There the socket port runs on
 * `ws`. Arguments go to `npm test`.
 */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { giveUp, prepare, ROOT } from './prepare.js';

const FOLDER = path.join(ROOT, 'node_modules/.cache/node24');
const NODE = path.join(FOLDER, 'node_modules/node/bin/node');

const run = (command, args, options) =>
  new Promise((resolve) => {
    const child = spawn(command, args, { stdio: 'inherit', ...options });
    child.on('error', (error) => giveUp(`${command}: ${error.message}`));
    child.on('exit', (code) => resolve(code ?? 1));
  });

await prepare();
if (!existsSync(NODE)) {
  await mkdir(FOLDER, { recursive: true });
  await writeFile(path.join(FOLDER, 'package.json'), '{"private":true}\n');
  const args = ['install', 'node@24', '--no-audit', '--no-fund', '--loglevel=error'];
  const code = await run('npm', args, { cwd: FOLDER });
  if (code !== 0 || !existsSync(NODE)) giveUp('Node 24 could not be installed (npm install node@24)');
}
const env = { ...process.env, PATH: `${path.dirname(NODE)}${path.delimiter}${process.env['PATH']}` };
process.exitCode = await run(NODE, [path.join(ROOT, 'scripts/test.js'), ...process.argv.slice(2)], {
  cwd: ROOT,
  env,
});
