/** What a front end imports to talk to an application: `tidemark/client`, for browsers and Node. */
export { createClient } from './client.js';
export type {
  Client,
  CommandOptions,
  Expect,
  ListRequest,
  LiveRequest,
  Observer,
  OptimisticChange,
  SubscribeRequest,
  Subscription,
} from './client-types.js';
export { ClientError, isClientError } from './errors.js';
export type { ClientErrorCode } from './errors.js';
export type { ClientOptions, SocketConstructor, SocketLike, TokenRequest, TokenSource } from './options.js';
export type { CommandResult } from './http/commands.js';
export type { Page, ReadOptions } from './http/reads.js';
export type { LiveStatus } from './live/feed.js';
export type { LiveState } from './live/live-view.js';
export type { LiveStore } from './live/live-views.js';
export type {
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
