'use client';
/** What a React front end imports: `tidemark/react`. `createHooks<typeof app>()` gives the same hooks, typed by an application. */
export { createHooks, TidemarkProvider, useClient, useCommand, useLive, useQuery } from './hooks.js';
export type {
  CommandHook,
  CommandOutcome,
  Hooks,
  LiveOptions,
  ProviderProps,
  QueryHook,
  QueryOptions,
} from './types.js';
