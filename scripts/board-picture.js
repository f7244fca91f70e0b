/**
 * Makes `docs/img/board.png` and `board-dark.png`: the board of the orders example in a real browser, with orders on their
 * way. Takes free ports, and a data folder that it throws away.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { prepare, ROOT } from './prepare.js';

await prepare();
const { chromium } = await import('playwright-core');

/** Customer, pieces by product, and the commands that come after `place`. */
const ORDERS = [
  ['ada', { tea: 2, cup: 1 }, ['pay', 'ship', 'deliver']],
  ['bela', { pot: 1, tea: 4 }, ['pay', 'ship', 'deliver']],
  ['chidi', { honey: 1 }, ['cancel']],
  ['dora', { cup: 6 }, ['pay', 'ship']],
  ['ada', { honey: 3, tea: 1 }, ['pay', 'ship']],
  ['emre', { pot: 2 }, ['pay']],
  ['bela', { cup: 2, honey: 2 }, ['pay']],
  ['fay', { tea: 8 }, []],
  ['dora', { pot: 1, cup: 4, tea: 2 }, []],
  ['chidi', { honey: 5 }, []],
];
const PRICES = { tea: 450, cup: 1_250, pot: 3_900, honey: 790 };
const INPUTS = {
  pay: (id) => ({ paymentId: `p-${id}` }),
  ship: (id) => ({ carrier: 'post', trackingNumber: `T${id.slice(2).toUpperCase()}` }),
  deliver: () => ({}),
  cancel: () => ({ reason: 'changed_mind' }),
};

async function send(url, orderId, command, input) {
  const answer = await fetch(`${url}/commands/order/${orderId}/${command}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(input),
  });
  if (!answer.ok) throw new Error(`${command} ${orderId}: ${await answer.text()}`);
}

async function placeAll(url, names) {
  for (const [index, [customerId, pieces, moves]] of ORDERS.entries()) {
    const orderId = `o-${names[index]}`;
    const lines = Object.entries(pieces).map(([sku, quantity]) => ({
      sku,
      quantity,
      unitPriceCents: PRICES[sku],
    }));
    await send(url, orderId, 'place', { customerId, lines });
    for (const move of moves) await send(url, orderId, move, INPUTS[move](orderId));
  }
}

const NAMES = [
  '7kq4xw',
  'm2t9ba',
  'c6wz3d',
  'hx8r5n',
  '4gvy2p',
  'q9sd7k',
  'bt3n6f',
  'w5jm8c',
  'z2kp4r',
  'e8xv6h',
];
const folder = mkdtempSync(path.join(tmpdir(), 'tidemark-picture-'));
chmodSync(folder, 0o755);
const env = {
  ...process.env,
  TIDEMARK_DATA_DIR: path.join(folder, 'data'),
  PORT: '0',
  REALTIME_PORT: '0',
  LOG_LEVEL: 'warn',
};
const server = spawn(process.execPath, ['scripts/start.js'], {
  cwd: ROOT,
  env,
  stdio: ['ignore', 'pipe', 'inherit'],
});
const ended = once(server, 'exit');
let printed = '';
const url = await new Promise((resolve, reject) => {
  void ended.then(() => reject(new Error(`it ended:\n${printed}`)));
  server.stdout.on('data', (chunk) => {
    printed += chunk;
    const [, page] = /Page +(\S+)\//.exec(printed) ?? [];
    if (page) resolve(page);
  });
});
const browser = await chromium.launch({
  executablePath: process.env['TIDEMARK_TEST_CHROMIUM'] ?? '/usr/bin/chromium',
  chromiumSandbox: process.getuid?.() !== 0,
});
try {
  const pages = [];
  for (const colorScheme of ['light', 'dark']) {
    const viewport = { width: 1280, height: 800 };
    const context = await browser.newContext({
      viewport,
      colorScheme,
      deviceScaleFactor: 1,
      reducedMotion: 'reduce',
    });
    const page = await context.newPage();
    await page.goto(url);
    await page.locator('.status[data-status="live"]').waitFor();
    pages.push({ page, file: colorScheme === 'light' ? 'board.png' : 'board-dark.png' });
  }
  await placeAll(url, NAMES);
  mkdirSync(path.join(ROOT, 'docs/img'), { recursive: true });
  for (const { page, file } of pages) {
    await page.locator('[data-order="o-e8xv6h"]').waitFor();
    await page.screenshot({ path: path.join(ROOT, 'docs/img', file) });
    console.log(`docs/img/${file}`);
  }
} finally {
  await browser.close();
  server.kill('SIGTERM');
  await ended;
  rmSync(folder, { recursive: true, force: true });
}
