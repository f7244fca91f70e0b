/** Many large rows at once: the projector and the reads of its log stay within bounds. */
import { aggregate, defineApp, projection } from 'tidemark';
import { expect, it, onTestFinished } from 'vitest';
import { z } from 'zod';
import { SHARDS } from '../../support/bank.js';
import { freshDatabase } from '../../support/postgres.js';
import { append, startProjecting } from '../../support/projecting.js';
import { readModelFaults } from '../../support/read-model-check.js';

const Page = aggregate('page', {
  state: z.object({}),
  initial: {},
  events: { Written: z.object({ times: z.int() }), Read: z.object({}) },
  commands: {},
})
  .evolve({ Written: (state) => state, Read: (state) => state })
  .decide({});
const Pages = projection('pages', {
  version: 1,
  row: z.object({ id: z.string(), text: z.string(), count: z.int() }),
  key: 'id',
}).on(Page, {
  fold: {
    Written: (row, { data, streamId }) => ({
      text: streamId.repeat(data.times),
      count: (row?.count ?? 0) + 1,
    }),
    Read: (row) => row && { ...row, count: row.count + 1 },
  },
});
const app = defineApp({
  auth: 'none',
  name: 'book',
  aggregates: [Page],
  projections: [Pages],
  shards: SHARDS,
});

it('writes in several transactions what does not fit into one', async () => {
  const pg = await freshDatabase();
  onTestFinished(() => pg.drop());
  const written: number[] = [];
  const observer = {
    wrote: ({ changes }: { changes: number }) => written.push(changes),
    conflict: () => undefined,
    halted: () => undefined,
  };
  const one = await startProjecting(pg.url, app, { idle: true, observer, tuning: { lanes: 1 } });
  onTestFinished(() => one.stop());
  const events = [{ type: 'Written', data: { times: 100_000 } }];
  await Promise.all(Array.from({ length: 80 }, (_, n) => append(one.store, 'page', `p-${n}`, events)));
  await one.projections.start();
  await one.caughtUp();
  // What is in is heard of a moment later by who wrote it.
  await expect.poll(() => written.reduce((sum, count) => sum + count, 0)).toBe(80);
  // Rows of 300,000 characters at the least, and eight million (and a bit) in a transaction at the most.
  expect(Math.max(...written)).toBeLessThan(28);

  // Small events that touch them all: the rows are not all read at once either.
  await one.projections.stop();
  await one.stop();
  const two = await startProjecting(pg.url, app, { idle: true, tuning: { lanes: 1 } });
  onTestFinished(() => two.stop());
  const query = two.db.query.bind(two.db);
  let most = 0;
  two.db.query = async <R extends readonly unknown[]>(...args: Parameters<typeof query>): Promise<R[]> => {
    const rows = await query<R>(...args);
    most = Math.max(most, JSON.stringify(rows).length);
    return rows;
  };
  const read = [{ type: 'Read', data: {} }];
  await Promise.all(Array.from({ length: 80 }, (_, n) => append(two.store, 'page', `p-${n}`, read)));
  await two.projections.start();
  await two.caughtUp();
  expect(most).toBeGreaterThan(1_000_000);
  expect(most).toBeLessThan(10_000_000);
  expect(await readModelFaults(two.db, two.store, Pages, SHARDS)).toEqual([]);
});
