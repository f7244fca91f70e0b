/** Projections of accounts whose folds throw on some amounts, until a test mends them; rows of one stream, and of many. */
import { defineApp, projection } from 'tidemark';
import { z } from 'zod';
import type { ParkingInput } from '../../src/domain/parking.js';
import { Account, SHARDS } from './bank.js';

/**
 * @param bad amounts on which folds throw; a test adds and takes away
 * @param parking of both projections
 */
export function mendable(bad: ReadonlySet<number>, parking: ParkingInput = {}) {
  const check = (cents: number): void => {
    if (bad.has(cents)) throw new Error(`cannot take ${cents}`);
  };
  const Purses = projection('purses', {
    version: 1,
    row: z.object({ id: z.string(), cents: z.int(), log: z.array(z.int()) }),
    key: 'id',
    parking,
  }).on(Account, {
    fold: {
      Opened: () => ({ cents: 0, log: [] }),
      Paid: (row, { data, version }) => {
        check(data.cents);
        if (row === null) return null;
        return { cents: row.cents + data.cents, log: [...row.log, version].slice(-5) };
      },
      Closed: () => null,
    },
  });
  /** `Moved` touches several; it throws for `eve` only. */
  const Folk = projection('folk', {
    version: 1,
    row: z.object({ name: z.string(), cents: z.int(), events: z.int() }),
    key: 'name',
    channels: ['name'],
    parking,
  }).on(Account, {
    keys: (event) => {
      if (event.type !== 'Moved') return event.tags.owner;
      if (event.data.to.includes('nobody')) throw new Error('who is nobody?');
      return event.data.to;
    },
    fold: {
      Paid: (row, { data }) => ({ cents: (row?.cents ?? 0) + data.cents, events: (row?.events ?? 0) + 1 }),
      Moved: (row, { data }, key) => {
        if (key === 'eve') check(data.cents);
        return { cents: (row?.cents ?? 0) + data.cents, events: (row?.events ?? 0) + 1 };
      },
    },
  });
  const app = defineApp({
    auth: 'none',
    name: 'bank',
    aggregates: [Account],
    projections: [Purses, Folk],
    shards: SHARDS,
  });
  return { app, Purses, Folk };
}
