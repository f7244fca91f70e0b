/** The hooks, and the same ones typed by an application. */
import type { AnyApp } from '../../domain/app.js';
import * as context from './context.js';
import type { Hooks } from './types.js';
import * as command from './use-command.js';
import * as live from './use-live.js';
import * as query from './use-query.js';

/**
 * The hooks typed by an application: `export const { useLive, useCommand } = createHooks<typeof app>()` with `import type`,
 * so that nothing of the server gets into a page.
 */
export function createHooks<A extends AnyApp>(): Hooks<A> {
  // The hooks know no types of an application; what they take and give is what the client takes and gives.
  return {
    TidemarkProvider: context.TidemarkProvider,
    useClient: context.useClient,
    useLive: live.useLive,
    useQuery: query.useQuery,
    useCommand: command.useCommand,
  } as unknown as Hooks<A>;
}

export const { TidemarkProvider, useClient, useLive, useQuery, useCommand } = createHooks<AnyApp>();
