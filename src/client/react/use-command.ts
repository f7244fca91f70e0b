/** A command in a component: what sends it, and how the one that was sent last went. */
import { useCallback, useRef, useState } from 'react';
import type { AnyApp } from '../../domain/app.js';
import type { Named } from '../app-types.js';
import type { CommandOptions } from '../client-types.js';
import { isClientError } from '../errors.js';
import { useClient } from './context.js';
import type { CommandHook, CommandOutcome } from './types.js';

export function useCommand(aggregate: Named<string>, command: string): CommandHook<AnyApp, unknown> {
  const client = useClient();
  const name = typeof aggregate === 'string' ? aggregate : aggregate.name;
  const [running, setRunning] = useState(0);
  const [outcome, setOutcome] = useState<CommandOutcome>();
  /** Of the one that was sent last. */
  const latest = useRef(0);
  const send = useCallback(
    async (streamId: string, input: unknown, options?: CommandOptions<AnyApp>): Promise<CommandOutcome> => {
      const mine = ++latest.current;
      setRunning((n) => n + 1);
      setOutcome(undefined);
      try {
        const ended = await client.command(name, streamId, command, input, options).then(
          (result): CommandOutcome => ({ ok: true, result, error: undefined }),
          (error: unknown): CommandOutcome => {
            if (!isClientError(error)) throw error;
            return { ok: false, result: undefined, error };
          },
        );
        if (mine === latest.current) setOutcome(ended);
        return ended;
      } finally {
        setRunning((n) => n - 1);
      }
    },
    [client, name, command],
  );
  const reset = useCallback(() => {
    latest.current++;
    setOutcome(undefined);
  }, []);
  return { send, isPending: running > 0, result: outcome?.result, error: outcome?.error, reset };
}
