/** `?after=<token>&wait=<ms>` of views and queries: the read waits until what it reads has what the tokens name. */
import type { AnyReadModel } from '../domain/tables.js';
import type { Signer } from '../platform/signing.js';
import { openToken } from './positions.js';
import { wholeNumber, type Parameters } from './parameters.js';
import type { WaiterHub } from './waiter-hub.js';

export const DEFAULT_WAIT_MS = 2_000;
export const MAX_WAIT_MS = 30_000;

export interface ReadAfter {
  readonly signer: Signer;
  readonly waiters: WaiterHub;
}

/**
 * @param signal ends the wait when the client goes away
 * @throws TidemarkError `invalid_token`, `invalid_parameter`, and what `WaiterHub.wait` throws
 */
export async function readAfter(
  { signer, waiters }: ReadAfter,
  projections: readonly AnyReadModel[],
  parameters: Parameters,
  signal: AbortSignal | (() => AbortSignal),
): Promise<void> {
  const waitMs = wholeNumber(parameters, 'wait', { min: 0, max: MAX_WAIT_MS, fallback: DEFAULT_WAIT_MS });
  const texts = parameters.get('after');
  if (!texts) return;
  const tokens = [...new Set(texts)].map((text) => openToken(signer, text));
  await waiters.wait(projections, tokens, waitMs, typeof signal === 'function' ? signal() : signal);
}
