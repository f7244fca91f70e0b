/** Versions of one projection, for tests of changing it: accounts whose columns come, go and change. */
import { defineApp, projection } from 'tidemark';
import { z } from 'zod';
import type { AnyApp } from '../../src/domain/app.js';
import type { AnyProjection } from '../../src/domain/projection.js';
import { Account, Owners, SHARDS } from './bank.js';

const fold = {
  Opened: (_row: unknown, { data }: { readonly data: { readonly owner: string } }) => ({ owner: data.owner }),
};

/** As it is at first. */
export const HoldersV1 = projection('holders', {
  version: 1,
  row: z.object({ id: z.string(), owner: z.string() }),
  key: 'id',
  indexes: ['owner'],
  channels: ['owner'],
}).on(Account, { fold });

/** With one more column, before the others. */
export const HoldersV2 = projection('holders', {
  version: 2,
  row: z.object({ kind: z.string(), id: z.string(), owner: z.string() }),
  key: 'id',
}).on(Account, {
  fold: { Opened: (row, event) => ({ kind: 'private', ...fold.Opened(row, event) }) },
});

/** A column less, and one of another type. */
export const HoldersV3 = projection('holders', {
  version: 3,
  row: z.object({ id: z.string(), owner: z.int() }),
  key: 'id',
}).on(Account, { fold: { Opened: (_row, { data }) => ({ owner: data.owner.length }) } });

export const bankOf = (...projections: readonly AnyProjection[]): AnyApp =>
  defineApp({ auth: 'none', name: 'bank', aggregates: [Account], projections, shards: SHARDS });

export const bankWith = (holders: AnyProjection): AnyApp => bankOf(holders, Owners);
