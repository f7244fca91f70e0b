/** `?after=<token>&wait=<ms>` of views and queries: the read waits until what it reads has what the tokens name. */
import type { AnyReadModel } from '../domain/tables.js';
import type { Signer } from '../platform/signing.js';
import type { ServingGate } from '../projections/types.js';
import { projectionBuilding } from '../projections/versions/registry.js';
import type { TokenPayload } from '../protocol/positions.js';
import { openToken } from './positions.js';
import { wholeNumber, type Parameters } from './parameters.js';
import type { WaiterHub } from './waiter-hub.js';

export const DEFAULT_WAIT_MS = 2_000;
export const MAX_WAIT_MS = 30_000;

export interface ReadAfter {
  readonly signer: Signer;
  readonly waiters: WaiterHub;
  /** Absent: whatever is there may be read. */
  readonly gate?: ServingGate;
}

/**
 * What the parameters say.
 * @returns undefined where they name no token
 * @throws TidemarkError `invalid_token`, `invalid_parameter`
 */
export function afterIn(
  signer: Signer,
  parameters: Parameters,
): { readonly tokens: readonly TokenPayload[]; readonly waitMs: number } | undefined {
  const waitMs = wholeNumber(parameters, 'wait', { min: 0, max: MAX_WAIT_MS, fallback: DEFAULT_WAIT_MS });
  const texts = parameters.get('after');
  return texts && { tokens: [...new Set(texts)].map((text) => openToken(signer, text)), waitMs };
}

/**
 * To be called before anything is read.
 * @param signal ends the wait when the client goes away
 * @throws TidemarkError `invalid_token`, `invalid_parameter`, `projection_building`, and what `WaiterHub.wait` throws
 */
export async function readAfter(
  { signer, waiters, gate }: ReadAfter,
  projections: readonly AnyReadModel[],
  parameters: Parameters,
  signal: AbortSignal | (() => AbortSignal),
): Promise<void> {
  const asked = afterIn(signer, parameters);
  for (const { name } of gate ? projections : []) {
    const why = gate?.refusal(name);
    if (why !== undefined) throw projectionBuilding(why);
  }
  if (!asked) return;
  await waiters.wait(
    projections,
    asked.tokens,
    asked.waitMs,
    typeof signal === 'function' ? signal() : signal,
  );
}
