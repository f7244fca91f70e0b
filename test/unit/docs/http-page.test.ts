/** docs/http.md names the routes that there are, and no others. */
import { readFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import orders from '../../../examples/orders/app.js';
import { operationsOperations } from '../../../src/app/http/operations-http.js';
import { operatorOperations } from '../../../src/app/http/ops/openapi.js';
import { commandOperations, streamOperations } from '../../../src/commands/operations.js';
import { queryOperations, viewOperations } from '../../../src/queries/openapi.js';

/** Not part of the API, so not of its description. */
const OF_THE_DOCS = ['GET /docs', 'GET /openapi.json', 'GET /asyncapi.json'];

const routes = [
  commandOperations(orders),
  streamOperations(orders),
  viewOperations(orders),
  queryOperations(orders),
  operationsOperations(),
  operatorOperations(orders),
].flatMap((room) =>
  Object.entries(room).flatMap(([path, item]) =>
    Object.keys(item).map((method) => `${method.toUpperCase()} ${path}`),
  ),
);

const asPattern = (call: string): RegExp => new RegExp(`^${call.replaceAll(/\{\w+\}/g, '[^/]+')}$`);

test('the tables of calls', async () => {
  const page = await readFile(new URL('../../../docs/http.md', import.meta.url), 'utf8');
  const tables = page
    .split('| call')
    .slice(1)
    .map((rest) => rest.split('\n\n')[0] ?? '');
  expect(tables).toHaveLength(2);
  const calls = [...tables.join('\n').matchAll(/`((?:GET|POST) \S+)`/g)].map(([, call]) => call ?? '');
  expect(calls.length).toBeGreaterThan(8);
  expect(routes.filter((route) => !calls.some((call) => asPattern(call).test(route)))).toEqual([]);
  const known = [...routes, ...OF_THE_DOCS];
  expect(calls.filter((call) => !known.some((route) => asPattern(call).test(route)))).toEqual([]);
});
