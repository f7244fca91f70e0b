/** docs/operation.md lists the metrics of a running process, as they describe themselves. */
import { readFile } from 'node:fs/promises';
import { testApp, type TestApp } from 'tidemark/testing';
import { afterAll, beforeAll, expect, test } from 'vitest';
import orders from '../../../examples/orders/app.js';
import { freshDatabase, type FreshDatabase } from '../../support/postgres.js';

let pg: FreshDatabase;
let app: TestApp;
beforeAll(async () => {
  pg = await freshDatabase();
  app = await testApp(orders, { databaseUrl: pg.url });
});
afterAll(async () => {
  await app?.close();
  await pg?.drop();
});

test('metrics', async () => {
  const text = await (await fetch(`${app.urls.http}/metrics`)).text();
  const measured = [...text.matchAll(/^# HELP (tidemark_\S+) (.*)\n# TYPE \S+ (\S+)$/gm)];
  const page = await readFile(new URL('../../../docs/operation.md', import.meta.url), 'utf8');
  const listed = [...page.matchAll(/^\| `(tidemark_\w+)` *\| (\w+) *\| (.*?) *\|$/gm)];
  expect(measured.length).toBeGreaterThan(30);
  expect(listed.map(([, name, type, meaning]) => `${name} ${type} ${meaning}`)).toEqual(
    measured.map(([, name, meaning, type]) => `${name} ${type} ${meaning}`).sort(),
  );
});
