/** What `npm start` and `npm test` need before any dependency is there: a Node that will do, and the packages. */
import { spawn } from 'node:child_process';
import { readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

export const ROOT = fileURLToPath(new URL('..', import.meta.url));

const LOCK = path.join(ROOT, '.installing');
/** An install that takes longer than this has died. */
const INSTALL_MS = 15 * 60_000;

/** Says what is wrong in one line and ends. */
export function giveUp(line) {
  console.error(line);
  process.exit(1);
}

function checkNode() {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  if (major > 20 || (major === 20 && minor >= 19)) return;
  giveUp(`Tidemark needs Node 20.19 or newer, this is ${process.versions.node}`);
}

function readJson(file) {
  try {
    return JSON.parse(readFileSync(path.join(ROOT, file), 'utf8'));
  } catch {
    return undefined;
  }
}

/** Whether node_modules holds what package-lock.json asks for. Optional packages may be absent, not different. */
function isInstalled() {
  const wanted = readJson('package-lock.json')?.packages;
  const present = readJson('node_modules/.package-lock.json')?.packages;
  if (!wanted) return giveUp('package-lock.json is missing or broken; check the clone');
  if (!present) return false;
  return Object.entries(wanted).every(([place, { version, optional, devOptional }]) => {
    if (place === '') return true;
    const there = present[place]?.version;
    return there === version || (there === undefined && (optional || devOptional));
  });
}

function isAlive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === 'EPERM';
  }
}

/** Waits for an install that another start has under way. @returns whether the lock is ours now */
async function takeLock() {
  let told = false;
  for (;;) {
    try {
      writeFileSync(LOCK, String(process.pid), { flag: 'wx' });
      return;
    } catch (error) {
      if (error.code !== 'EEXIST') giveUp(`packages cannot be installed: ${error.message}`);
    }
    let holder = 0;
    let age = 0;
    try {
      holder = Number(readFileSync(LOCK, 'utf8'));
      age = Date.now() - statSync(LOCK).mtimeMs;
    } catch {
      continue; // It was given free just now.
    }
    // An empty file is one that is being written, for a moment.
    const dead = holder > 0 ? !isAlive(holder) : age > 5_000;
    if (dead || age > INSTALL_MS) {
      rmSync(LOCK, { force: true });
      continue;
    }
    if (!told) console.error(`Waiting for the install of another start (process ${holder}) …`);
    told = true;
    await new Promise((resolve) => setTimeout(resolve, 250));
  }
}

/** The line of npm's output that a person can do something with. */
function reasonOf(output) {
  const lines = output
    .split('\n')
    .map((line) => line.replace(/^npm (error|ERR!) ?/, '').trim())
    .filter((line) => line !== '' && !/^(code|errno|syscall|A complete log|network This is)/.test(line));
  return lines[0] ?? 'npm said nothing';
}

function npm(args) {
  const self = process.env['npm_execpath'];
  const [command, before] = self?.endsWith('.js') ? [process.execPath, [self]] : ['npm', []];
  return new Promise((resolve) => {
    const child = spawn(command, [...before, ...args], { cwd: ROOT, stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    child.stdout.on('data', () => undefined);
    child.stderr.on('data', (chunk) => (output = (output + chunk).slice(-20_000)));
    child.on('error', (error) => resolve({ code: 1, output: error.message }));
    child.on('close', (code) => resolve({ code, output }));
  });
}

async function install() {
  await takeLock();
  const release = () => rmSync(LOCK, { force: true });
  process.once('exit', release);
  if (!isInstalled()) {
    console.error('Installing packages (only this once) …');
    // Development packages belong to a start from a clone, whatever NODE_ENV says.
    const wanted = ['--include=dev', '--include=optional'];
    const { code, output } = await npm(['ci', ...wanted, '--no-audit', '--no-fund', '--loglevel=error']);
    if (code !== 0) giveUp(`npm ci failed: ${reasonOf(output)} (run "npm ci" to see all of it)`);
  }
  process.off('exit', release);
  release();
}

/** @returns a `require` that finds the installed packages */
export async function prepare() {
  checkNode();
  if (!isInstalled()) await install();
  return createRequire(import.meta.url);
}
