/** A small domain with the odd cases that orders do not have: nothing emitted, context, code that throws. */
import { z } from 'zod';
import { aggregate, defineApp } from '../../src/index.js';

export interface LedgerHooks {
  /** What `.context` of `addRated` does. */
  rate?: () => Promise<number>;
  /** Called by every decision. */
  decided?: () => void;
}

export function ledgerApp(hooks: LedgerHooks = {}) {
  const Ledger = aggregate('ledger', {
    state: z.object({ sum: z.int(), closed: z.boolean() }),
    initial: { sum: 0, closed: false },
    events: {
      Added: z.object({ by: z.int(), note: z.string().optional() }),
      Closed: z.object({}),
    },
    commands: {
      add: z.object({ by: z.int(), note: z.string().optional(), times: z.int().min(1).default(1) }),
      addRated: z.object({ by: z.int() }),
      /** Emits nothing when the sum is there already. */
      reach: z.object({ sum: z.int() }),
      close: z.object({}),
      /** A bug: throws unless the ledger is closed. */
      crash: z.object({}),
    },
    tags: (state) => ({ closed: String(state.closed) }),
  })
    .evolve({
      Added: (state, { data }) => ({ ...state, sum: state.sum + data.by }),
      Closed: (state) => ({ ...state, closed: true }),
    })
    .context({ addRated: () => hooks.rate?.() ?? Promise.resolve(1) })
    .decide({
      add: (state, { times, ...data }, { emit, reject }) => {
        hooks.decided?.();
        if (state.closed) return reject('ledger_closed');
        return Array.from({ length: times }, () => emit('Added', data));
      },
      addRated: (_state, { by }, { emit, context }) => {
        hooks.decided?.();
        return emit('Added', { by: by * context });
      },
      reach: (state, { sum }, { emit }) => (state.sum === sum ? [] : emit('Added', { by: sum - state.sum })),
      close: (state, _input, { emit, reject }) =>
        state.closed ? reject('ledger_closed') : emit('Closed', {}),
      crash: (state, _input, { emit }) => {
        if (!state.closed) throw new Error('secret-of-the-domain');
        return emit('Added', { by: 1 });
      },
    });
  return defineApp({ auth: 'none', name: 'ledgers', aggregates: [Ledger], shards: 4 });
}
