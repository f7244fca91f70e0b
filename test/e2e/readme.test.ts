/**
 * The README in a fresh clone, as it is written: its shell blocks are run line by line, its TypeScript is saved, compiled
 * and started, and its picture shows what a start prints. The commands of the HTTP reference run on the same application.
 *
 * Two things differ from what a reader types: the ports (3000 and 3001 may be taken here), which are put in their places
 * in the commands and named to watch.js; and `npm test`, which is what runs this.
 */
import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { blocksOf, blockWith } from '../support/docs/blocks.js';
import { freePort, freshClone, npmStart, processTree, type Running } from './support/clone.js';

const exec = promisify(execFile);

let clone: Awaited<ReturnType<typeof freshClone>>;
let running: Running;
let env: Record<string, string>;
const children: ChildProcess[] = [];

const inClone = (file: string): URL => pathToFileURL(path.join(clone.dir, file));

beforeAll(async () => {
  clone = await freshClone();
  const ports = { PORT: String(await freePort()), REALTIME_PORT: String(await freePort()) };
  // curl ends with an error where the answer is one; npx keeps what it makes for the clone in there too.
  const home = path.join(clone.dir, '.home');
  await mkdir(home);
  await writeFile(path.join(home, '.curlrc'), 'fail-with-body\n');
  env = { ...ports, LOG_LEVEL: 'warn', CURL_HOME: home };
  running = await npmStart(clone.dir, env);
}, 240_000);

afterAll(async () => {
  for (const child of children) await stop(child);
  if (running) await stop(running.child);
  await clone?.remove();
}, 120_000);

/** Ctrl-C in its terminal: everybody in the group gets it. */
async function stop(child: ChildProcess): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const tree = await processTree(child.pid);
  const ended = once(child, 'exit');
  process.kill(-child.pid, 'SIGINT');
  await ended;
  // npm may be gone before Node has drained.
  await vi.waitFor(async () => expect(await alive(tree.slice(1))).toEqual([]), { timeout: 60_000 });
}

async function alive(pids: readonly number[]): Promise<number[]> {
  const states = await Promise.all(
    pids.map((pid) => readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined)),
  );
  return pids.filter((_, at) => states[at] !== undefined && !/\) Z /.test(states[at]));
}

const placed = (text: string): string =>
  text
    .replaceAll('localhost:3000', `localhost:${env['PORT']}`)
    .replaceAll('localhost:3001', `localhost:${env['REALTIME_PORT']}`);

/** The commands of a block: one a line, unless it ends with a backslash. */
const commandsIn = (block: string): string[] => block.replaceAll('\\\n', ' ').split('\n').filter(Boolean);

/** @throws when it ends with an error, as curl does here when the answer is one */
async function type(script: string): Promise<string> {
  const options = { cwd: clone.dir, env: { ...process.env, ...env } };
  return (await exec('bash', ['-euo', 'pipefail', '-c', placed(script)], options)).stdout;
}

/** A view follows within milliseconds: what is read may be read again. */
async function read(command: string): Promise<unknown> {
  return JSON.parse(await type(command)) as unknown;
}
const soon = (command: string, expected: object): Promise<unknown> =>
  vi.waitFor(async () => expect(await read(command)).toMatchObject(expected), { timeout: 60_000 });

function begin(command: string, args: readonly string[]): { child: ChildProcess; printed: () => string } {
  const child = spawn(command, args, {
    cwd: clone.dir,
    env: { ...process.env, ...env, npm_config_cache: path.join(clone.dir, '.home') },
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  children.push(child);
  let text = '';
  child.stdout?.on('data', (chunk: Buffer) => (text += chunk.toString()));
  child.stderr?.on('data', (chunk: Buffer) => (text += chunk.toString()));
  return { child, printed: () => text };
}

test('what to type first', async () => {
  const [first] = await blocksOf('README.md', inClone('./'));
  const typed = commandsIn(first?.text ?? '').map((line) => line.replace(/ +#.*/, ''));
  expect(typed).toEqual(['npm start', 'npm test']);
});

test('try it: an order, its payment, the view, the query; its changes on a socket', async () => {
  const [place = '', pay = '', view = '', query = '', ...more] = commandsIn(
    await blockWith('README.md', 'sh', '/commands/order/o-1/place'),
  );
  expect(more).toEqual([]);
  expect(await read(place)).toMatchObject({ streamId: 'o-1', version: 1, events: [{ type: 'OrderPlaced' }] });
  expect(await read(pay)).toMatchObject({ streamId: 'o-1', version: 2, events: [{ type: 'OrderPaid' }] });
  const row = { orderId: 'o-1', customerId: 'c-1', status: 'paid', totalCents: 900, itemCount: 2 };
  await soon(view, row);
  await soon(query, { items: [row], total: 1 });

  const watching = commandsIn(await blockWith('README.md', 'sh', 'watch.js'));
  expect(watching).toHaveLength(1);
  const [node = '', ...args] = (watching[0] ?? '').split(' ');
  const watcher = begin(node, [...args, `ws://127.0.0.1:${env['REALTIME_PORT']}/realtime`]);
  await vi.waitFor(
    () => expect(watcher.printed()).toMatch(/o-1 {2}paid {2}900 cents\n-- live \(c-1\)\n/),
    60_000,
  );
  await type(place.replaceAll('o-1', 'o-2'));
  await vi.waitFor(() => expect(watcher.printed()).toMatch(/o-2 {2}placed {2}900 cents\n/), 60_000);

  // Stopped with Ctrl-C and started again (kill.test.ts does it with kill -9): nothing is lost, the watcher goes on.
  await stop(running.child);
  running = await npmStart(clone.dir, env);
  await soon(view, row);
  await type(pay.replaceAll('o-1', 'o-2'));
  await vi.waitFor(() => expect(watcher.printed()).toMatch(/o-2 {2}paid {2}900 cents\n/), 60_000);
  expect(watcher.printed()).not.toMatch(/reset/);
  await stop(watcher.child);
}, 240_000);

test('API docs are where it says', async () => {
  const [, url = ''] = /<(http:\S+\/docs)>/.exec(await readFile(inClone('README.md'), 'utf8')) ?? [];
  expect(await type(`curl -sL ${url}`)).toContain('<html');
});

test('the commands of docs/http.md', async () => {
  const blocks = (await blocksOf('docs/http.md', inClone('./'))).filter(({ language }) => language === 'sh');
  expect(blocks.length).toBeGreaterThan(4);
  const answers: string[] = [];
  for (const { text } of blocks) {
    // The block as a whole, as one may go on with what another found; its views may be asked a moment too early.
    answers.push(await vi.waitFor(() => type(text), { timeout: 60_000, interval: 200 }));
  }
  expect(answers[0]).toContain('"streamId":"o-100","version":1');
  expect(answers.join('\n')).toMatch(/^etag: "r\w+-\d+"/m);
});

test('what a team writes compiles, and runs', async () => {
  await writeFile(inClone('app.ts'), await blockWith('README.md', 'ts', 'defineApp'));
  await writeFile(inClone('visits.tsx'), await blockWith('README.md', 'tsx', 'useLive'));
  const config = {
    extends: './tsconfig.json',
    compilerOptions: { jsx: 'react-jsx' },
    include: ['app.ts', 'visits.tsx'],
  };
  await writeFile(inClone('tsconfig.readme.json'), JSON.stringify(config));
  expect(await type('node_modules/.bin/tsc -p tsconfig.readme.json --pretty false')).toBe('');

  await stop(running.child);
  const [npx = '', ...args] = (await blockWith('README.md', 'sh', 'npx tidemark start app.ts')).split(' ');
  const app = begin(npx, args);
  await vi.waitFor(() => expect(app.printed()).toContain('counters is running; Ctrl-C stops it.'), 60_000);
  const [count = '', view = '', ...more] = commandsIn(
    await blockWith('README.md', 'sh', '/commands/counter/visits/count'),
  );
  expect(more).toEqual([]);
  expect(await read(count)).toMatchObject({ streamId: 'visits', version: 1, events: [{ type: 'Counted' }] });
  await soon(view, { counterId: 'visits', count: 2 });
  await stop(app.child);
}, 240_000);

test('the picture shows what a start prints', async () => {
  const svg = await readFile(inClone('docs/img/start.svg'), 'utf8');
  const [start = ''] = /<g aria-label="npm start">.*?<\/g>/s.exec(svg) ?? [];
  const same = (line: string): string =>
    line
      .replaceAll(/127\.0\.0\.1:\d+/g, 'address')
      .replace(/data in .*/, 'data')
      .trimEnd();
  const shown = [...start.matchAll(/<text(?: class="typed")?>(.*?)<\/text>/g)].map(([, text = '']) =>
    same(
      text
        .replaceAll(/<[^>]*>/g, '')
        .replaceAll('&quot;', '"')
        .replaceAll('&gt;', '>')
        .replaceAll('&lt;', '<')
        .replaceAll('&amp;', '&'),
    ),
  );
  expect(shown[0]).toBe('$ LOG_LEVEL=warn npm start');
  const printed = running.output().split('\n').map(same);
  expect(shown.slice(1).filter((line) => !printed.includes(line))).toEqual([]);
});
