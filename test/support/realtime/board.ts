/** A small application for realtime tests: one projection with channels on a field and on a pair of fields. */
import { aggregate, defineApp, projection } from 'tidemark';
import { z } from 'zod';

export const Card = aggregate('card', {
  state: z.object({ there: z.boolean() }),
  initial: { there: false },
  events: {
    CardSet: z.object({ list: z.string(), done: z.boolean().nullable(), note: z.string() }),
    CardRemoved: z.object({}),
  },
  commands: {
    set: z.object({ list: z.string(), done: z.boolean().nullable(), note: z.string() }),
    remove: z.object({}),
  },
})
  .evolve({ CardSet: () => ({ there: true }), CardRemoved: () => ({ there: false }) })
  .decide({
    set: (_state, input, { emit }) => emit('CardSet', input),
    remove: (_state, _input, { emit }) => emit('CardRemoved', {}),
  });

export const Board = projection('board', {
  version: 1,
  row: z.object({ id: z.string(), list: z.string(), done: z.boolean().nullable(), note: z.string() }),
  key: 'id',
  channels: ['list', ['list', 'done']],
}).on(Card, {
  fold: {
    CardSet: (_row, { data }) => data,
    CardRemoved: () => null,
  },
});

export interface BoardRow {
  readonly id: string;
  readonly list: string;
  readonly done: boolean | null;
  readonly note: string;
}

export const SHARDS = 3;
export const boardApp = defineApp({
  auth: 'none',
  name: 'boards',
  aggregates: [Card],
  projections: [Board],
  shards: SHARDS,
});
export const BOARD_LOG = 'board.v1';
