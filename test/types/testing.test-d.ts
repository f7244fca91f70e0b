/** What the compiler refuses, and what it must take, in tests written with the kit. Checked by `tsc`; nothing runs. */
import { aggregate, event, projection, query } from 'tidemark';
import { given, project, type EventOf, type ProjectedEvent, type TestApp } from 'tidemark/testing';
import { z } from 'zod';
import type { Equal, Expect } from './expect.js';

const Box = aggregate('box', {
  state: z.object({ open: z.boolean() }),
  initial: { open: false },
  events: {
    Opened: event(z.object({ by: z.string(), times: z.int().default(1) }), {
      upcasters: [(data: { by: string }) => data],
    }),
    Closed: z.object({}),
  },
  commands: { open: z.object({ by: z.string(), note: z.string().default('') }), close: z.object({}) },
  tags: () => ({ owner: 'x' }),
})
  .evolve({ Opened: () => ({ open: true }), Closed: () => ({ open: false }) })
  .context({ close: async () => ({ fee: 3 }) })
  .decide({ open: () => [], close: (_state, _input, { context }) => (context.fee > 0 ? [] : []) });

const opened = { type: 'Opened', data: { by: 'ann' } } as const satisfies EventOf<typeof Box>;

given(Box, [opened, { type: 'Closed', data: {} }])
  .when('open', { by: 'ann' })
  .then([{ type: 'Opened', data: { by: 'ann', times: 1 } }]);
given(Box, [{ type: 'Opened', schemaVersion: 1, data: { whatever: true } }]).thenState({ open: true });
given(Box, [])
  .when('close', {}, { context: { fee: 1 } })
  .thenRejected('no', { as: 'not_found' });

// @ts-expect-error an event that is not defined
given(Box, [{ type: 'Shut', data: {} }]);
// @ts-expect-error data of another event
given(Box, [{ type: 'Opened', data: {} }]);
// @ts-expect-error a command that is not defined
given(Box, []).when('shut', {});
// @ts-expect-error a payload with a field missing
given(Box, []).when('open', {});
// @ts-expect-error a command that has context needs it
given(Box, []).when('close', {});
// @ts-expect-error another context
given(Box, []).when('close', {}, { context: { price: 1 } });
// @ts-expect-error a command that has none does not take it
given(Box, []).when('open', { by: 'a' }, { context: { fee: 1 } });
const opening = given(Box, []).when('open', { by: 'a' });
// @ts-expect-error an expected event has all that is stored, defaults too
opening.then([{ type: 'Opened', data: { by: 'a' } }]);
// @ts-expect-error a state with a field of another type
given(Box, []).thenState({ open: 'yes' });
// @ts-expect-error a kind of rejection that there is not
given(Box, []).when('open', { by: 'a' }).thenRejected('no', { as: 'gone' });

const Note = aggregate('note', {
  state: z.object({}),
  initial: {},
  events: { Written: z.object({ text: z.string() }), Closed: z.object({}) },
  commands: {},
})
  .evolve({ Written: () => ({}), Closed: () => ({}) })
  .decide({});

const Boxes = projection('boxes', {
  version: 1,
  row: z.object({ id: z.string(), open: z.boolean(), note: z.string().optional() }),
  key: 'id',
})
  .on(Box, { fold: { Opened: () => ({ open: true }) } })
  .on(Note, { fold: { Written: (row, { data }) => row && { ...row, note: data.text } } });

const written: ProjectedEvent<typeof Boxes> = { type: 'Written', stream: 'b', data: { text: 'x' } };
const boxes = project(Boxes, [
  opened,
  written,
  { type: 'Closed', aggregate: 'note', data: {}, recordedAt: '2026-01-01T00:00:00.000Z' },
]);
boxes.toEqual({ id: 'b', open: true, note: 'x' });
boxes.toEqual([]);
boxes.toEqual(null);
export type _Row = Expect<
  Equal<ReturnType<typeof boxes.row>, { id: string; open: boolean; note?: string | undefined } | null>
>;

// @ts-expect-error an event that none of its aggregates has
project(Boxes, [{ type: 'Shut', data: {} }]);
// @ts-expect-error an aggregate that it does not follow
project(Boxes, [{ type: 'Closed', aggregate: 'lid', data: {} }]);
// @ts-expect-error an aggregate that has no such event
project(Boxes, [{ type: 'Written', aggregate: 'box', data: { text: 'x' } }]);
// @ts-expect-error a row with a field missing
boxes.toEqual({ id: 'b' });

const countBoxes = query('count_boxes', {
  input: z.object({ open: z.boolean().default(true) }),
  output: z.object({ n: z.int() }),
  reads: [Boxes],
}).handle(() => ({ n: 1 }));

export async function app(running: TestApp): Promise<void> {
  await running.execute(Box, 'b', 'open', { by: 'a' }, { expectedVersion: 0 });
  // @ts-expect-error a payload with a field missing
  await running.execute(Box, 'b', 'open', {});
  // @ts-expect-error a command that is not defined
  await running.execute(Box, 'b', 'shut', {});
  const stream = await running.stream(Box, 'b');
  const open: boolean | undefined = stream?.state.open;
  const row = await running.row(Boxes, 'b');
  type Found = Expect<Equal<typeof row, { id: string; open: boolean; note?: string | undefined } | null>>;
  const found: Found = true;
  const { n } = await running.query(countBoxes, found ? {} : { open: open ?? false });
  // @ts-expect-error an input of another type
  await running.query(countBoxes, { open: n });
  const live = await running.subscribe(Boxes, { where: { open: true } });
  // @ts-expect-error a row has no such field
  await live.until((rows) => rows.get('b')?.closed === true);
}
