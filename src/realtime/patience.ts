/** Waits for a change log that cannot be followed now: the database does not answer, or its view is being built anew. */
import { setTimeout as delay } from 'node:timers/promises';
import { isTidemarkError } from '../platform/errors.js';
import type { Logger } from '../platform/logger.js';
import type { LogHead } from '../platform/postgres/logs.js';
import type { ServingGate } from '../projections/types.js';
import type { ChangeSource } from './ports.js';

const RETRY_MS = 500;

interface Waiting {
  readonly log: string;
  /** Aborted when the gateway stops, which ends the waiting. */
  readonly signal: AbortSignal;
}

const pause = (signal: AbortSignal): Promise<void> =>
  delay(RETRY_MS, undefined, { signal }).catch(() => undefined);

/** Does `work`, again and again until it works or the gateway stops. */
export async function untilWorks(
  { log, signal }: Waiting,
  logger: Logger,
  work: () => Promise<void>,
): Promise<void> {
  while (!signal.aborted) {
    try {
      return await work();
    } catch (error) {
      logger.warn({ err: error, log }, 'the change log cannot be followed; trying again');
      await pause(signal);
    }
  }
}

/**
 * Heads of the log, once the view may be read: while it is built anew, subscribers keep what they have.
 * @throws whatever reading the heads throws
 */
export async function readableHeads(
  { log, signal }: Waiting,
  projection: string,
  deps: { readonly source: ChangeSource; readonly gate?: ServingGate | undefined },
): Promise<readonly LogHead[]> {
  for (;;) {
    const heads = await deps.source.heads([log]);
    const epoch = heads.find((head) => head.log === log)?.epoch ?? '';
    try {
      if (!signal.aborted) await deps.gate?.confirm(projection, epoch);
      return heads;
    } catch (error) {
      if (!isTidemarkError(error, 'projection_building')) throw error;
      await pause(signal);
    }
  }
}
