/**
 * A project that uses the published package: `scripts/check-package.js` compiles it against what `npm pack` made, under
 * both ways of module resolution, and runs it.
 */
import { aggregate, defineApp, projection, query } from 'tidemark';
import { given, project } from 'tidemark/testing';
import { z } from 'zod';

const Counter = aggregate('counter', {
  state: z.object({ value: z.int() }),
  initial: { value: 0 },
  events: { Added: z.object({ amount: z.int() }) },
  commands: { add: z.object({ amount: z.int().min(1) }) },
})
  .evolve({ Added: (state, { data }) => ({ value: state.value + data.amount }) })
  .decide({ add: (_state, input, { emit }) => emit('Added', { amount: input.amount }) });

const Counters = projection('counters', {
  version: 1,
  row: z.object({ counterId: z.string(), value: z.int() }),
  key: 'counterId',
}).on(Counter, { fold: { Added: (row, event) => ({ value: (row?.value ?? 0) + event.data.amount }) } });

const largest = query('largest', {
  input: z.object({}),
  output: z.object({ value: z.int() }),
  reads: [Counters],
}).handle(async ({ db }) => {
  const row = await db.selectFrom('counters').select('value').orderBy('value', 'desc').executeTakeFirst();
  return { value: row?.value ?? 0 };
});

const app = defineApp({
  auth: 'none',
  name: 'counting',
  aggregates: [Counter],
  projections: [Counters],
  queries: [largest],
});
export default app;

// @ts-expect-error There is no such command: types must come through the package.
export const wrong = (): unknown => given(Counter, []).when('remove', {});

given(Counter, [])
  .when('add', { amount: 2 })
  .then([{ type: 'Added', data: { amount: 2 } }]);
project(Counters, [{ stream: 'c-1', type: 'Added', data: { amount: 2 } }]).toEqual({
  counterId: 'c-1',
  value: 2,
});
console.log(`${app.name} runs`);
