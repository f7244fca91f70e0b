/** The OpenAPI fragments say what the schemas and the catalogue say. */
import { z } from 'zod';
import { describe, expect, it } from 'vitest';
import { aggregate, defineApp } from '../../../src/index.js';
import { commandOperations, streamOperations } from '../../../src/commands/operations.js';

const Counter = aggregate('counter', {
  state: z.object({ n: z.int() }),
  initial: { n: 0 },
  events: { Added: z.object({ by: z.int() }) },
  commands: { add: z.object({ by: z.int().min(1).default(1) }), reset: z.object({}) },
})
  .evolve({ Added: (state, { data }) => ({ n: state.n + data.by }) })
  .decide({ add: (_state, input, { emit }) => emit('Added', input), reset: () => [] });

const app = defineApp({ auth: 'none', name: 'counting', aggregates: [Counter] });

describe('operations', () => {
  it('there is one a command, with the payload as callers send it', () => {
    const operations = commandOperations(app);
    expect(Object.keys(operations)).toEqual(['/commands/counter/{id}/add', '/commands/counter/{id}/reset']);
    const body = operations['/commands/counter/{id}/add']?.['post']?.requestBody;
    expect(body).toMatchObject({
      required: false,
      content: { 'application/json': { schema: { type: 'object', properties: { by: { default: 1 } } } } },
    });
    expect(JSON.stringify(body)).not.toContain('"required":["by"]');
  });

  it('rejections are open, other problems name their codes', () => {
    const responses: Readonly<Record<string, unknown>> =
      commandOperations(app)['/commands/counter/{id}/add']?.['post']?.responses ?? {};
    expect(Object.keys(responses)).toEqual(
      expect.arrayContaining(['200', '400', '404', '409', '412', '413', '415', '422', '429', '500', '503']),
    );
    expect(JSON.stringify(responses['409'])).not.toContain('enum');
    expect(JSON.stringify(responses['503'])).toContain('outcome_unknown');
  });

  it('streams have a history and a state, per aggregate', () => {
    const operations = streamOperations(app);
    expect(Object.keys(operations)).toEqual(['/streams/counter/{id}', '/streams/counter/{id}/state']);
    expect(JSON.stringify(operations['/streams/counter/{id}/state'])).toContain('version_not_found');
  });
});
