/** The client as its callers see it, typed from the application. */
import type { AnyApp } from '../domain/app.js';
import type { ChangedRow, ClientPosition, SnapRow } from '../protocol/frames.js';
import type {
  AggregateName,
  CommandInput,
  CommandName,
  Named,
  QueryInput,
  QueryName,
  QueryOutput,
  RowOf,
  Sort,
  ViewName,
  Where,
} from './app-types.js';
import type { ClientError } from './errors.js';
import type { CommandResult, SendOptions } from './http/commands.js';
import type { Page, ReadOptions } from './http/reads.js';
import type { LiveStatus } from './live/feed.js';
import type { LiveState } from './live/live-view.js';
import type { LiveStore } from './live/live-views.js';

/** Shows a row as a command is expected to leave it. `change` is pure: it is applied anew to what the server sends. */
export type Expect<A extends AnyApp> = <N extends ViewName<A>>(
  view: Named<N>,
  key: string,
  change: (row: RowOf<A, N> | null) => RowOf<A, N> | null,
) => void;

export interface CommandOptions<A extends AnyApp> extends SendOptions {
  /**
   * Called at once, to say what rows will look like; they are shown like that until the change feed has the command’s own
   * changes, or until the command fails.
   */
  readonly optimistic?: (expect: Expect<A>) => void;
}

export interface ListRequest<R> extends ReadOptions {
  readonly where?: Where<R>;
  readonly sort?: Sort<R>;
  /** Rows of a page, 1–1,000; 50. */
  readonly limit?: number;
  /** `next` of the page before, with the same filter, sort and limit. */
  readonly page?: string;
}

/** One row, a declared channel, or the whole view; `sort` and `limit` make a window ("the newest 50"). */
export interface LiveRequest<R> {
  readonly key?: string | undefined;
  readonly where?: Where<R> | undefined;
  readonly sort?: Sort<R> | undefined;
  /** Rows of a window, 1–1,000; 50 where there is a `sort`. */
  readonly limit?: number | undefined;
}

export interface SubscribeRequest<R> extends LiveRequest<R> {
  /** Where to go on: `cursor` of a page with the same filter, or `position` of an earlier subscription. */
  readonly from?: string | ClientPosition;
}

type Typed<R, T extends readonly unknown[]> = T extends readonly [infer K, infer V, infer Row]
  ? readonly [key: K, rev: V, row: null extends Row ? R | null : R]
  : never;

/** What a subscription tells. All are called in the order in which things came. */
export interface Observer<R> {
  /** All rows, anew: at first, and where changes cannot be had any more. */
  readonly snapshot?: (rows: readonly Typed<R, SnapRow>[]) => void;
  /** Every change after that, once; a row is null where there is none any more. @param at ms since 1970, of the oldest */
  readonly changes?: (rows: readonly Typed<R, ChangedRow>[], at: number) => void;
  /** Rows must not be shown any more: they are no longer the caller’s. */
  readonly dropped?: () => void;
  readonly status?: (status: LiveStatus, error: ClientError | undefined) => void;
}

export interface Subscription {
  readonly status: LiveStatus;
  /** To go on from later; undefined before the first rows. */
  readonly position: ClientPosition | undefined;
  close(): void;
}

export interface OptimisticChange {
  /** The command that wrote it was accepted: shown until the change feed has it. @param token of the command’s answer */
  confirm(token: string): Promise<void>;
  rollback(): void;
}

/** A running application, from a browser or from Node. Things are named by their names or by their definitions. */
export interface Client<A extends AnyApp> {
  /**
   * Sends a command. Its idempotency key is kept over all tries, so that it happens once.
   * @throws ClientError; `code` is the domain’s where it was rejected
   */
  command<N extends AggregateName<A>, K extends CommandName<A, N>>(
    aggregate: Named<N>,
    streamId: string,
    command: K,
    input: CommandInput<A, N, K>,
    options?: CommandOptions<A>,
  ): Promise<CommandResult>;
  /** The row of a key, or null. @throws ClientError */
  view<N extends ViewName<A>>(
    view: Named<N>,
    key: string,
    options?: ReadOptions,
  ): Promise<RowOf<A, N> | null>;
  /** A page of rows. @throws ClientError */
  view<N extends ViewName<A>>(view: Named<N>, request?: ListRequest<RowOf<A, N>>): Promise<Page<RowOf<A, N>>>;
  /** Page after page, until the last. @throws ClientError */
  pages<N extends ViewName<A>>(
    view: Named<N>,
    request?: ListRequest<RowOf<A, N>>,
  ): AsyncIterable<Page<RowOf<A, N>>>;
  /** Runs a named query. @throws ClientError */
  query<N extends QueryName<A>>(
    query: Named<N>,
    input: QueryInput<A, N>,
    options?: ReadOptions,
  ): Promise<QueryOutput<A, N>>;
  /** A live view: its rows as they are now. Equal requests are one subscription. Close it when it is not used any more. */
  live<N extends ViewName<A>>(view: Named<N>, request?: LiveRequest<RowOf<A, N>>): LiveStore<RowOf<A, N>>;
  /** The state of a live view that somebody else has open; without one, that of a view which connects. Begins nothing. */
  peek<N extends ViewName<A>>(view: Named<N>, request?: LiveRequest<RowOf<A, N>>): LiveState<RowOf<A, N>>;
  /** A subscription as it comes: a snapshot, then every later change, once and in order, over lost connections too. */
  subscribe<N extends ViewName<A>>(
    view: Named<N>,
    request: SubscribeRequest<RowOf<A, N>>,
    observer: Observer<RowOf<A, N>>,
  ): Subscription;
  /** Shows a row as it will be; `command` does this by its option `optimistic`. */
  optimistic<N extends ViewName<A>>(
    view: Named<N>,
    key: string,
    change: (row: RowOf<A, N> | null) => RowOf<A, N> | null,
  ): OptimisticChange;
  /** Ends the connection until `resume`; live views are `stale` meanwhile. */
  pause(): void;
  /** Connects again, from where everything was. */
  resume(): void;
  /**
   * Who calls has changed, or has other rights: drops all rows at once, connects anew with a fresh token, and asks again for
   * what was refused. The other tabs of the caller do the same.
   */
  renew(): void;
  /** Calls the listener at each `renew`, of another tab too: what was read before, somebody else has read. @returns ends it */
  onRenew(listener: () => void): () => void;
  /** Ends everything: what is on its way fails with `closed`. */
  close(): void;
}
