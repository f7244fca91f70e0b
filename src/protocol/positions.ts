/**
 * The positions that leave the process. A **token** says "at least this is in" of event logs; a **cursor** is the
 * place in one change log where a read or subscription stands; a **page** is where a listing goes on.
 * This file knows their shapes and nothing of how they are signed (`platform/signing.ts`).
 */

/** `[shard, seq]`; a shard that is absent stands at 0. */
export type ShardSeq = readonly [shard: number, seq: number];

/** Positions in one log, bound to its epoch. */
export interface LogPosition {
  readonly epoch: string;
  readonly pos: readonly ShardSeq[];
}

/** "At least this is in": event category → position. Sparse. */
export interface TokenPayload {
  readonly kind: 'token';
  readonly logs: Readonly<Record<string, LogPosition>>;
}

/** What a cursor was read from; a cursor is only good for the very same. */
export interface CursorBinding {
  /** Projection name. */
  readonly view: string;
  readonly key?: string;
  /** Equality filter, field → value; absent for the whole view. */
  readonly where?: Readonly<Record<string, string | number | boolean | null>>;
  /** Hash of the principal's row scope; absent while rights are off. */
  readonly scope?: string;
}

/** A place in one change log, bound to what was read. */
export interface CursorPayload extends LogPosition {
  readonly kind: 'cursor';
  /** Change log, as `changeLogName` gives it. */
  readonly log: string;
  readonly bind: CursorBinding;
  /** Of a listing’s first page, `windowName`: a window of the very same order and size goes on from it. */
  readonly window?: string;
}

/** Where a listing goes on: the sort values and key of the last row, and the first page’s position. */
export interface PagePayload {
  readonly kind: 'page';
  readonly log: string;
  readonly epoch: string;
  /** The request's filter, sort and limit, canonical; another request cannot use this page. */
  readonly of: string;
  readonly after: readonly (string | number | boolean | null)[];
  /** Heads as the first page saw them, from which every page’s cursor is made; absent where the filter has none. */
  readonly pos?: readonly ShardSeq[];
  /** The first page had all rows of the window that it is, which its cursor said. */
  readonly window?: string;
}

export type SignedPayload = TokenPayload | CursorPayload | PagePayload;

/** Order and size of a listing’s page or of a window, as they were asked for. @param sort `-placedAt,orderId` */
export const windowName = (sort: string, limit: number): string => `${sort}/${limit}`;

/** Name of a projection version's change log. */
export const changeLogName = (projection: string, version: number): string => `${projection}.v${version}`;

/** The same binding gives the same text, whatever the order of its fields. */
export function canonicalBinding(bind: CursorBinding): string {
  const where = bind.where && Object.entries(bind.where).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
  return JSON.stringify([bind.view, bind.key ?? null, where ?? null, bind.scope ?? null]);
}
