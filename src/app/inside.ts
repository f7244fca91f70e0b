/** What the test kit reaches of a running process beside HTTP: events past the commands, and waiting for all projections. */
import type { AnyApp } from '../domain/app.js';
import type { EventStore, StreamAppend } from '../event-store/types.js';
import { TidemarkError } from '../platform/errors.js';
import type { Signer } from '../platform/signing.js';
import { openToken } from '../queries/positions.js';
import type { WaiterHub } from '../queries/waiter-hub.js';

export interface Inside {
  /**
   * @returns a token, as commands give it
   * @throws TidemarkError `stream_conflict`, and as `EventStore.append`
   */
  append(stream: StreamAppend): Promise<string>;
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
    async caughtUp(tokens, waitMs) {
      const payloads = tokens.map((token) => openToken(signer, token));
      await waiters.wait(app.projections, payloads, waitMs);
    },
  };
}
