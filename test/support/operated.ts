/** An application for tests of operators' commands, in two versions; OPERATED_BAD lists the amounts that its fold cannot take. */
import { aggregate, defineApp, projection } from 'tidemark';
import { z } from 'zod';

const Purse = aggregate('purse', {
  state: z.object({}),
  initial: {},
  events: { Paid: z.object({ cents: z.int() }) },
  commands: { pay: z.object({ cents: z.int() }) },
})
  .evolve({ Paid: (state) => state })
  .decide({ pay: (_state, { cents }, { emit }) => emit('Paid', { cents }) });

/** Looked up at each fold, so that a test can mend it; of a definition that is no test's, this would be a fault. */
const isBad = (cents: number): boolean =>
  (process.env['OPERATED_BAD'] ?? '').split(',').includes(String(cents));

export const operated = (version: number) =>
  defineApp({
    auth: 'none',
    name: 'purses',
    aggregates: [Purse],
    projections: [
      projection('purses', {
        version,
        row: z.object({ id: z.string(), cents: z.int() }),
        key: 'id',
      }).on(Purse, {
        fold: {
          Paid: (row, { data }) => {
            if (isBad(data.cents)) throw new Error(`cannot take ${data.cents}`);
            return { cents: (row?.cents ?? 0) + data.cents * version };
          },
        },
      }),
    ],
    shards: 4,
  });
