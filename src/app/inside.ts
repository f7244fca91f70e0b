/** What the test kit reaches of a running process beside HTTP: events past the commands, and waiting for all projections. */
import { StreamReader } from '../commands/stream-reader.js';
import type { AnyAggregate } from '../domain/aggregate.js';
import type { AnyApp } from '../domain/app.js';
import type { EventStore, StreamAppend } from '../event-store/types.js';
import { isTidemarkError, TidemarkError } from '../platform/errors.js';
import type { Signer } from '../platform/signing.js';
import { openToken } from '../queries/positions.js';
import type { WaiterHub } from '../queries/waiter-hub.js';

export interface Inside {
  /**
   * @returns a token, as commands give it
   * @throws TidemarkError `stream_conflict`, and as `EventStore.append`
   */
  append(stream: StreamAppend): Promise<string>;
  /** State and version of a stream; null where it has no event. @throws as `StreamReader.state` */
  stream(
    aggregate: AnyAggregate,
    streamId: string,
  ): Promise<{ readonly version: number; readonly state: unknown } | null>;
  /** Resolves once all projections have what the tokens name. @throws as `WaiterHub.wait` */
  caughtUp(tokens: readonly string[], waitMs: number): Promise<void>;
}

export function createInside(deps: {
  readonly app: AnyApp;
  readonly store: EventStore;
  readonly waiters: WaiterHub;
  readonly signer: Signer;
}): Inside {
  const { app, store, waiters, signer } = deps;
  const reader = new StreamReader(store);
  return {
    async append(stream) {
      const outcome = await store.append({ streams: [stream] });
      const [appended] = outcome.kind === 'appended' ? outcome.streams : [];
      if (!appended)
        throw new TidemarkError(
          'stream_conflict',
          `${stream.category} ${stream.streamId} has other events by now`,
        );
      const { category, epoch, shard, seq } = appended;
      return signer.sign({ kind: 'token', logs: { [category]: { epoch, pos: [[shard, seq]] } } });
    },
    async stream(aggregate, streamId) {
      try {
        return await reader.state(aggregate, streamId, {});
      } catch (error) {
        if (isTidemarkError(error, 'stream_not_found')) return null;
        throw error;
      }
    },
    async caughtUp(tokens, waitMs) {
      const payloads = tokens.map((token) => openToken(signer, token));
      await waiters.wait(app.projections, payloads, waitMs);
    },
  };
}
