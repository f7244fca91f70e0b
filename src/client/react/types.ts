/** The hooks as components see them, typed from the application. */
import type { ReactNode } from 'react';
import type { AnyApp } from '../../domain/app.js';
import type {
  AggregateName,
  CommandInput,
  CommandName,
  Named,
  QueryInput,
  QueryName,
  QueryOutput,
  RowOf,
  ViewName,
} from '../app-types.js';
import type { Client, CommandOptions, LiveRequest } from '../client-types.js';
import type { ClientError } from '../errors.js';
import type { CommandResult } from '../http/commands.js';
import type { LiveState } from '../live/live-view.js';

export interface ProviderProps<A extends AnyApp> {
  /** Made outside of components: one for a page. */
  readonly client: Client<A>;
  readonly children?: ReactNode;
}

export interface LiveOptions<Row> {
  /** Shown until the first rows are in, as when a server rendered them. The very same on the server and in the browser. */
  readonly initial?: readonly Row[] | undefined;
}

export interface QueryOptions<Output> {
  /** Tokens of commands: what is read has them. */
  readonly after?: string | readonly string[] | undefined;
  /** Shown until the first answer to the first input, as when a server rendered it. */
  readonly initial?: Output | undefined;
}

export interface QueryHook<Output> {
  /** The last answer to this input; kept while it is asked again. */
  readonly data: Output | undefined;
  /** Why the last try failed; undefined once one succeeds. */
  readonly error: ClientError | undefined;
  /** An answer is on its way. */
  readonly isLoading: boolean;
  /** Asks again. */
  readonly refresh: () => void;
}

/** How a command ended. */
export type CommandOutcome =
  | { readonly ok: true; readonly result: CommandResult; readonly error: undefined }
  | { readonly ok: false; readonly result: undefined; readonly error: ClientError };

export interface CommandHook<A extends AnyApp, Input> {
  /**
   * Sends it, once however often it has to be tried. Resolves when the server has answered, also where the answer is no:
   * `error.code` is the domain’s then. Goes on when the component is gone.
   */
  readonly send: (streamId: string, input: Input, options?: CommandOptions<A>) => Promise<CommandOutcome>;
  /** One of those that were sent here has not ended. */
  readonly isPending: boolean;
  /** Of the one that was sent last. */
  readonly result: CommandResult | undefined;
  /** Of the one that was sent last; undefined again while the next is on its way. */
  readonly error: ClientError | undefined;
  /** Forgets `result` and `error`. */
  readonly reset: () => void;
}

/** The hooks of an application. Things are named by their names or by their definitions. */
export interface Hooks<A extends AnyApp> {
  readonly TidemarkProvider: (props: ProviderProps<A>) => ReactNode;
  /** @throws Error outside of a `TidemarkProvider` */
  readonly useClient: () => Client<A>;
  /**
   * A live view: its rows as they are now. Components that ask for the same share one subscription; it ends a moment after
   * the last of them. On the server, and until rows are in, it is `connecting`.
   * @param request null: nothing yet, as when the key is not known
   */
  readonly useLive: <N extends ViewName<A>>(
    view: Named<N>,
    request?: LiveRequest<RowOf<A, N>> | null,
    options?: LiveOptions<RowOf<A, N>>,
  ) => LiveState<RowOf<A, N>>;
  /**
   * The answer to a named query; asked again when the input or `after` is another one, and when the client's caller is (`renew`).
   * @param input null: nothing yet
   */
  readonly useQuery: <N extends QueryName<A>>(
    query: Named<N>,
    input: QueryInput<A, N> | null,
    options?: QueryOptions<QueryOutput<A, N>>,
  ) => QueryHook<QueryOutput<A, N>>;
  /** A command to send, and how the last one went. */
  readonly useCommand: <N extends AggregateName<A>, K extends CommandName<A, N>>(
    aggregate: Named<N>,
    command: K,
  ) => CommandHook<A, CommandInput<A, N, K>>;
}
