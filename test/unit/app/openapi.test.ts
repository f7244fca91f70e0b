/** The OpenAPI document as a whole is valid, and lists every problem there is. */
import { Validator } from '@seriousme/openapi-schema-validator';
import { describe, expect, it } from 'vitest';
import orders from '../../../examples/orders/app.js';
import { openApiDocument } from '../../../src/app/http/openapi.js';
import { operationsOperations } from '../../../src/app/http/operations-http.js';
import { operatorOperations } from '../../../src/app/http/ops/openapi.js';
import { commandOperations, streamOperations } from '../../../src/commands/operations.js';
import { queryOperations, viewOperations } from '../../../src/queries/openapi.js';
import { PROBLEMS } from '../../../src/protocol/problems.js';

const rooms = [commandOperations, streamOperations, viewOperations, queryOperations].map((room) =>
  room(orders),
);
const document = openApiDocument({ title: 'orders', version: '1.0.0' }, [
  ...rooms,
  operationsOperations(),
  operatorOperations(orders),
]);

type Responses = Record<string, { headers?: Record<string, unknown> } | undefined>;

/** All values of `$ref` and of `operationId`, wherever they stand. */
function valuesOf(name: string, value: unknown): string[] {
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, inner]) =>
    key === name && typeof inner === 'string' ? [inner] : valuesOf(name, inner),
  );
}

describe('openApiDocument', () => {
  it('is valid OpenAPI 3.1', async () => {
    const validator = new Validator();
    const result = await validator.validate(structuredClone(document));
    expect(result.errors ?? []).toEqual([]);
    expect(result.valid).toBe(true);
    expect(validator.version).toBe('3.1');
  });

  it('refers only to what it has, and names each operation once', () => {
    for (const reference of valuesOf('$ref', document)) {
      const found = reference
        .slice(2)
        .split('/')
        .reduce<unknown>((at, part) => (at as Record<string, unknown> | undefined)?.[part], document);
      expect(found, reference).toBeDefined();
    }
    const ids = valuesOf('operationId', document);
    expect(new Set(ids).size).toBe(ids.length);
  });

  it('has every route of the contract', () => {
    const paths = Object.keys(document['paths'] as object);
    for (const path of [
      '/commands/order/{id}/place',
      '/views/order_summary',
      '/views/order_summary/{key}',
      '/queries/customer_orders',
      '/streams/order/{id}',
      '/streams/order/{id}/state',
      '/livez',
      '/readyz',
      '/metrics',
      '/ops/projections/{name}',
    ]) {
      expect(paths).toContain(path);
    }
  });

  it('has every problem code', () => {
    const { responses } = document['components'] as { responses: Record<string, unknown> };
    expect(Object.keys(responses).sort()).toEqual(Object.keys(PROBLEMS).sort());
  });

  it('says of every operation what any request may be answered with', () => {
    const items = document['paths'] as Record<string, Record<string, { responses: Responses }>>;
    for (const [path, item] of Object.entries(items)) {
      for (const { responses } of Object.values(item)) {
        for (const status of ['400', '403', '405', '414', '431', '500', '503']) {
          expect(responses, path).toHaveProperty([status]);
        }
        expect(Object.keys(responses['405']?.headers ?? {}), path).toEqual(['Allow']);
      }
    }
    const row = items['/views/order_summary/{key}']?.['get']?.responses;
    for (const status of ['200', '304', '404'])
      expect(Object.keys(row?.[status]?.headers ?? {})).toContain('Tidemark-Cursor');
  });

  it('path parameters are declared where they stand', () => {
    for (const [path, item] of Object.entries(
      document['paths'] as Record<string, Record<string, { parameters?: { name: string; in: string }[] }>>,
    )) {
      const named = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name);
      for (const operation of Object.values(item)) {
        const declared = (operation.parameters ?? [])
          .filter((one) => one.in === 'path')
          .map(({ name }) => name);
        expect(declared.sort(), path).toEqual(named.sort());
      }
    }
  });
});
