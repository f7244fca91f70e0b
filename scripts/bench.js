/** `npm run bench -- <name> [--json] …`: runs `bench/<name>.ts`; installs what it is measured against when that is missing. */
import { spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { giveUp, prepare, ROOT } from './prepare.js';
import { runTypeScript } from './run.js';

/** Benchmarks that need the packages of `bench/peers`. */
const WITH_PEERS = new Set(['append', 'connections', 'fanout']);
const PEERS = path.join(ROOT, 'bench/peers');

function lockOf(file) {
  try {
    return JSON.parse(readFileSync(path.join(PEERS, file), 'utf8')).packages;
  } catch {
    return undefined;
  }
}

/** Whether every package that the lock names is there in its version. */
function peersAreThere() {
  const wanted = lockOf('package-lock.json') ?? {};
  const present = lockOf('node_modules/.package-lock.json');
  return (
    present !== undefined &&
    Object.entries(wanted).every(
      ([place, { version }]) => place === '' || present[place]?.version === version,
    )
  );
}

function installPeers() {
  console.error('Installing what Tidemark is measured against (bench/peers, only this once) …');
  return new Promise((resolve) => {
    const args = ['ci', '--no-audit', '--no-fund', '--loglevel=error', '--ignore-scripts'];
    const child = spawn('npm', args, { cwd: PEERS, stdio: ['ignore', 2, 2] });
    child.on('error', (error) => giveUp(`npm could not be run: ${error.message}`));
    child.on('close', (code) => (code === 0 ? resolve() : giveUp('npm ci failed in bench/peers')));
  });
}

const names = readdirSync(path.join(ROOT, 'bench'))
  .filter((file) => file.endsWith('.ts'))
  .map((file) => file.slice(0, -3));
const [name, ...args] = process.argv.slice(2);
const usage = `usage: npm run bench -- <${names.join('|')}> [--json] [--quick]`;
if (name === undefined || !names.includes(name)) giveUp(usage);

await prepare();
if (WITH_PEERS.has(name) && !peersAreThere()) await installPeers();
await runTypeScript(`bench/${name}.ts`, args, `${usage}; more of them at the top of bench/${name}.ts`);
