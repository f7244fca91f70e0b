/** docs/parked-events.md: its definitions are those of the application here, and its session on the command line is a real one. */
import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { loadConfig } from '../../../src/app/config.js';
import { createRuntime, type Runtime } from '../../../src/app/runtime.js';
import { parkingOf } from '../../../src/domain/parking.js';
import { silentLogger } from '../../../src/platform/logger.js';
import { blocksOf } from '../../support/docs/blocks.js';
import { programOf, type Program } from '../../support/docs/program.js';
import { invoices } from '../../support/invoices.js';
import { freshDatabase, type FreshDatabase } from '../../support/postgres.js';
import { typed } from '../../support/typed.js';

const PAGE = 'docs/parked-events.md';
let pg: FreshDatabase;
let runtime: Runtime;
let program: Program | undefined;

beforeAll(async () => {
  pg = await freshDatabase();
  const config = loadConfig({ DATABASE_URL: pg.url, PORT: '0', REALTIME_PORT: '0' });
  runtime = createRuntime(invoices(false), config, { logger: silentLogger });
  await runtime.start();
});
afterAll(async () => {
  await runtime?.stop();
  await pg?.drop();
  await program?.remove();
});

async function send(id: string, command: string, body: unknown): Promise<string> {
  const response = await fetch(`${runtime.urls.http}/commands/invoice/${id}/${command}`, {
    method: 'POST',
    body: JSON.stringify(body),
    headers: { 'content-type': 'application/json' },
  });
  return ((await response.json()) as { token: string }).token;
}

const withoutTimes = (text: string): string =>
  text.replaceAll(/\d{4}-\d\d-\d\dT[\d:.]{12}Z/g, '<time>').trim();

test('its TypeScript compiles and runs', async () => {
  const blocks = (await blocksOf(PAGE)).filter(({ language }) => language === 'ts');
  program = await programOf(blocks.map(({ text }) => text).join('\n'));
  expect(await program.compile()).toEqual({ code: 0, output: '' });
  expect(await program.run()).toMatchObject({ code: 0 });
});

test('its session is what the commands print', async () => {
  await send('i-16', 'issue', { lines: [{ cents: 100 }] });
  await send('i-17', 'issue', { lines: [] });
  const token = await send('i-17', 'pay', {});
  const read = () => fetch(`${runtime.urls.http}/views/invoices/i-17?after=${token}&wait=0`);
  await vi.waitFor(
    async () => expect(await (await read()).json()).toMatchObject({ code: 'row_parked' }),
    60_000,
  );
  // That says that the row is parked, and nothing of the event behind it.
  await vi.waitFor(async () => {
    const { stdout } = await typed(['parked', 'list', '--json'], { DATABASE_URL: pg.url });
    expect(JSON.parse(stdout)).toMatchObject({ items: [{ key: 'i-17', queued: 2 }] });
  }, 60_000);

  const sessions = (await blocksOf(PAGE)).filter(({ text }) => text.startsWith('$ npx tidemark'));
  const steps = sessions.flatMap(({ text }) => text.split(/^\$ npx tidemark /m).slice(1));
  expect(steps.length).toBe(4);
  for (const step of steps) {
    const [line = '', ...output] = step.split('\n');
    const app = line.includes('replay') ? ['--app', 'test/support/invoices-mended-app.ts'] : [];
    const { stdout, stderr, code } = await typed([...line.split(' '), ...app], { DATABASE_URL: pg.url });
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(withoutTimes(stdout)).toBe(withoutTimes(output.join('\n')));
  }
  expect(await (await read()).json()).toEqual({ invoiceId: 'i-17', averageCents: 0, paid: true });
});

test('its defaults and bounds are those of the code', async () => {
  const page = await readFile(new URL(`../../../${PAGE}`, import.meta.url), 'utf8');
  const rows = [...page.matchAll(/^\| `(\w+)` *\| ([\d,]+) +\| .*?: 1–([\d,]+)/gm)];
  const number = (text = ''): number => Number(text.replaceAll(',', ''));
  expect(Object.fromEntries(rows.map(([, name, value]) => [name, number(value)]))).toEqual(
    parkingOf('page', {}),
  );
  for (const [, name = '', , most] of rows) {
    expect(() => parkingOf('page', { [name]: number(most) })).not.toThrow();
    expect(() => parkingOf('page', { [name]: number(most) + 1 })).toThrow(name);
    expect(() => parkingOf('page', { [name]: 0 })).toThrow(name);
  }
  expect(parkingOf('page', false)).toBe(false);
});
