/** A fresh clone in a temporary folder, and `npm start` in it as a user would type it. */
import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chmod, cp, mkdtemp, readFile, readdir, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { freePorts } from '../../support/kafka/ports.js';

const run = promisify(execFile);
const ROOT = fileURLToPath(new URL('../../../', import.meta.url));

/**
 * Clones the committed state of this repository; the folder is removed by `remove`.
 * @param installed the packages are there already (those of this repository), and so is the page if it is built here: for those
 *   who are not about the first start
 */
export async function freshClone({ installed = false } = {}): Promise<{
  dir: string;
  remove(): Promise<void>;
}> {
  const parent = await mkdtemp(join(tmpdir(), 'tidemark-e2e-'));
  // The account that Postgres runs as when the tests are root’s must be able to reach its data in the clone.
  await chmod(parent, 0o755);
  const dir = join(parent, 'clone');
  await run('git', ['clone', '--quiet', ROOT, dir]);
  if (installed) {
    await symlink(join(ROOT, 'node_modules'), join(dir, 'node_modules'));
    const board = 'examples/orders/board/dist';
    await cp(join(ROOT, board), join(dir, board), { recursive: true }).catch(() => undefined);
  }
  return { dir, remove: () => rm(parent, { recursive: true, force: true }) };
}

/** One that no outgoing connection is given: it is bound later, and again after the server was killed. */
export async function freePort(): Promise<number> {
  const [port = 0] = await freePorts(1);
  return port;
}

/** Pids of a process and all that descend from it, parents first (Linux only, as CI is). */
export async function processTree(root: number): Promise<number[]> {
  const parents = new Map<number, number>();
  for (const name of await readdir('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const stat = await readFile(`/proc/${name}/stat`, 'utf8').catch(() => '');
    const ppid = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
    if (ppid > 0) parents.set(Number(name), ppid);
  }
  const tree = [root];
  for (const pid of tree) for (const [child, parent] of parents) if (parent === pid) tree.push(child);
  return tree;
}

const commandOf = async (pid: number): Promise<string> =>
  (await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')).replaceAll('\0', ' ');

export interface Running {
  readonly child: ChildProcess;
  /** Everything it has printed, both streams. */
  output(): string;
  /** Pid of the Node process that runs the application. */
  nodePid(): Promise<number>;
  /** Resolves once it has ended, with code and signal. */
  readonly ended: Promise<{ code: number | null; signal: NodeJS.Signals | null }>;
}

/** Types `npm start`; resolves when /readyz says so, rejects with the output when it ends before. */
export async function npmStart(dir: string, env: Record<string, string>): Promise<Running> {
  // A run that was started with `npm --silent` would have this one say nothing, too.
  const { CI: _ci, npm_config_loglevel: _loglevel, ...inherited } = process.env;
  const child = spawn('npm', ['start'], {
    cwd: dir,
    env: { ...inherited, ...env },
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let printed = '';
  child.stdout?.on('data', (chunk: Buffer) => (printed += chunk.toString()));
  child.stderr?.on('data', (chunk: Buffer) => (printed += chunk.toString()));
  const ended = once(child, 'exit').then(([code, signal]) => ({
    code: code as number | null,
    signal: signal as NodeJS.Signals | null,
  }));
  let over = false;
  void ended.then(() => (over = true));
  const running: Running = {
    child,
    output: () => printed,
    ended,
    async nodePid() {
      for (const pid of await processTree(child.pid ?? 0)) {
        if (/scripts\/start\.js/.test(await commandOf(pid)) && /^\S*node /.test(await commandOf(pid)))
          return pid;
      }
      throw new Error(`no Node process under ${child.pid}: ${printed}`);
    },
  };
  while (!over) {
    const ready = await fetch(`http://127.0.0.1:${env['PORT']}/readyz`).then(
      (answer) => answer.status === 200,
      () => false,
    );
    if (ready) return running;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`npm start ended before it was ready:\n${printed}`);
}
