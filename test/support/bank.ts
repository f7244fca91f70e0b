/** A small domain for tests of projections: accounts, one row each, and totals of many accounts. */
import { aggregate, defineApp, projection } from 'tidemark';
import { z } from 'zod';
import { shardOf } from '../../src/platform/murmur2.js';

export const Account = aggregate('account', {
  state: z.object({}),
  initial: {},
  events: {
    Opened: z.object({ owner: z.string() }),
    Paid: z.object({ cents: z.int(), note: z.string().optional() }),
    Moved: z.object({ to: z.array(z.string()), cents: z.int() }),
    Noted: z.object({ text: z.string() }),
    Closed: z.object({}),
    Ignored: z.object({}),
  },
  commands: {},
  tags: () => ({ owner: 'nobody' }),
})
  .evolve({
    Opened: (state) => state,
    Paid: (state) => state,
    Moved: (state) => state,
    Noted: (state) => state,
    Closed: (state) => state,
    Ignored: (state) => state,
  })
  .decide({});

export const Accounts = projection('accounts', {
  version: 1,
  row: z.object({
    id: z.string(),
    owner: z.string(),
    cents: z.int(),
    payments: z.int(),
    note: z.string().optional(),
    log: z.array(z.int()),
  }),
  key: 'id',
  indexes: ['owner'],
  channels: ['owner'],
}).on(Account, {
  fold: {
    Opened: (_row, { data }) => ({ owner: data.owner, cents: 0, payments: 0, log: [] }),
    Paid: (row, { data, version }) => {
      if (data.cents === 666) throw new Error('the devil is in the fold');
      if (row === null) return null;
      const { note: _note, ...rest } = row;
      const log = [...row.log, version].slice(-5);
      return {
        ...rest,
        cents: row.cents + data.cents,
        payments: row.payments + 1,
        log,
        ...(data.note !== undefined && { note: data.note }),
      };
    },
    Noted: (row, { data }) => row && { ...row, owner: data.text },
    Closed: () => null,
  },
});

/** Every payment counts for the owner in its tag; a move for each of several. */
export const Owners = projection('owners', {
  version: 1,
  row: z.object({ owner: z.string(), cents: z.int(), events: z.int() }),
  key: 'owner',
}).on(Account, {
  keys: (event) => (event.type === 'Moved' ? event.data.to : event.tags.owner),
  fold: {
    Paid: (row, { data }) => ({ cents: (row?.cents ?? 0) + data.cents, events: (row?.events ?? 0) + 1 }),
    Moved: (row, { data }) => {
      if (data.cents === 666 && row !== null && row.events > 0) throw new Error('not to one who has');
      return { cents: (row?.cents ?? 0) + data.cents, events: (row?.events ?? 0) + 1 };
    },
  },
});

export const SHARDS = 4;
export const bank = defineApp({
  auth: 'none',
  name: 'bank',
  aggregates: [Account],
  projections: [Accounts, Owners],
  shards: SHARDS,
});

/** Names of streams that fall to a shard. */
export function* idsOf(shard: number, prefix = 'a'): Generator<string> {
  for (let n = 0; ; n++) if (shardOf(`${prefix}-${n}`, SHARDS) === shard) yield `${prefix}-${n}`;
}
