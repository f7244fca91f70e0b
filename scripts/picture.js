/**
 * Makes `docs/img/start.svg` from what really happens: `npm start` in this clone, an order by curl, its change on a socket.
 * Takes ports 3000 and 3001, and a data folder that it throws away. Paths of this machine are cut.
 */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, rmSync, writeFileSync, mkdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { terminalSvg } from './docs/terminal-svg.js';
import { prepare, ROOT } from './prepare.js';

await prepare();
const folder = mkdtempSync(path.join(tmpdir(), 'tidemark-picture-'));
chmodSync(folder, 0o755);
const data = path.join(folder, '.tidemark');
const START = 'LOG_LEVEL=warn npm start';
const WATCH = 'node examples/orders/watch.js c-1';
const CURLS = [
  `curl -s localhost:3000/commands/order/o-1/place -H 'content-type: application/json' -d '{"customerId":"c-1","lines":[{"sku":"tea","quantity":2,"unitPriceCents":450}]}'`,
  `curl -s localhost:3000/commands/order/o-1/pay -H 'content-type: application/json' -d '{"paymentId":"p-1"}'`,
  `curl -s localhost:3000/views/order_summary/o-1`,
];

/** Runs a line in a shell and gathers what it prints; `until` resolves when the text is among it. */
function shell(line) {
  const env = { ...process.env, TIDEMARK_DATA_DIR: data, NO_COLOR: '1', npm_config_loglevel: 'error' };
  const child = spawn('bash', ['-c', line], { cwd: ROOT, env, detached: true });
  let printed = '';
  let look = () => undefined;
  child.stdout.on('data', (chunk) => {
    printed += chunk;
    look();
  });
  child.stderr.on('data', (chunk) => process.stderr.write(chunk));
  return {
    text: () => printed,
    until: (part) =>
      new Promise((resolve, reject) => {
        child.once('exit', (code) => reject(new Error(`${line} ended with ${code}`)));
        look = () => printed.includes(part) && resolve();
        look();
      }),
    async stop() {
      const ended = once(child, 'exit');
      process.kill(-child.pid, 'SIGINT');
      await ended;
    },
  };
}

const linesOf = (text) => text.replaceAll(data, '…/.tidemark').trim().split('\n');

try {
  const start = shell(START);
  await start.until('queries/customer_orders');
  const watch = shell(WATCH);
  await watch.until('-- live');
  const calls = [];
  for (const curl of CURLS) {
    const { stdout } = await promisify(execFile)('bash', ['-c', curl]);
    calls.push(`$ ${curl}`, ...linesOf(stdout));
    if (curl.includes('place')) await watch.until('placed');
    if (curl.includes('/pay')) await watch.until('paid');
  }
  const watched = ['$ ' + WATCH, ...linesOf(watch.text())];
  await watch.stop();
  const started = ['$ ' + START, ...linesOf(start.text())];
  await start.stop();
  const svg = terminalSvg(
    [
      [{ title: 'npm start', columns: 125, lines: started }],
      [
        { title: 'an order', columns: 83, lines: calls },
        { title: 'its changes', columns: 37, lines: watched },
      ],
    ],
    'npm start, an order placed and paid by curl, and its changes on a socket',
  );
  mkdirSync(path.join(ROOT, 'docs/img'), { recursive: true });
  writeFileSync(path.join(ROOT, 'docs/img/start.svg'), svg);
  console.log('docs/img/start.svg');
} finally {
  rmSync(folder, { recursive: true, force: true });
}
