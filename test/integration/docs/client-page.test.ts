/** The guide of the client: its TypeScript is one program, which compiles and runs against the orders application. */
import { testApp, type TestApp } from 'tidemark/testing';
import { afterAll, beforeAll, expect, test } from 'vitest';
import orders from '../../../examples/orders/app.js';
import { CLIENT_ERRORS } from '../../../src/client/errors.js';
import { blocksOf } from '../../support/docs/blocks.js';
import { programOf, type Program } from '../../support/docs/program.js';
import { freshDatabase, type FreshDatabase } from '../../support/postgres.js';
import { readFile } from 'node:fs/promises';

let pg: FreshDatabase;
let app: TestApp;
let program: Program | undefined;
beforeAll(async () => {
  pg = await freshDatabase();
  app = await testApp(orders, { databaseUrl: pg.url });
});
afterAll(async () => {
  await program?.remove();
  await app?.close();
  await pg?.drop();
});

test('docs/client.md compiles and runs', async () => {
  const blocks = (await blocksOf('docs/client.md')).filter(({ language }) => language === 'ts');
  program = await programOf(blocks.map(({ text }) => text).join('\n'));
  expect(await program.compile()).toEqual({ code: 0, output: '' });
  const ran = await program.run({
    TIDEMARK_URL: app.urls.http,
    TIDEMARK_REALTIME_URL: app.urls.realtime ?? '',
  });
  expect(ran.code, ran.output).toBe(0);
  expect(ran.output).toContain('live 1');
});

test('its codes are those of the client', async () => {
  const page = await readFile(new URL('../../../docs/client.md', import.meta.url), 'utf8');
  for (const code of Object.keys(CLIENT_ERRORS)) expect(page).toContain(`\`${code}\``);
});
