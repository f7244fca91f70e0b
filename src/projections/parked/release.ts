/** What leaves the queue of a parked key, as `unpark_v1` takes it. */
import type { AnyProjection } from '../../domain/projection.js';
import type { CellName } from '../parts/cells.js';
import type { WaitingEvent } from './queue.js';
import { faultMessage, saying } from './record.js';
import type { Fault } from './refold.js';

export interface Release {
  readonly cell: CellName;
  /** The first event that waits, as the caller knows it. */
  readonly first: WaitingEvent;
  /** The event that is left out, and why. */
  readonly skipped?: WaitingEvent | undefined;
  readonly why?: string | undefined;
  /** The last event that is folded. */
  readonly upto?: WaitingEvent | undefined;
  /** The next one, which cannot be. */
  readonly fault?: Fault | undefined;
}

const placeOf = ({ event: { category, shard, seq } }: WaitingEvent) => ({ source: category, shard, seq });

export function releaseArgument(
  { parking }: Pick<AnyProjection, 'parking'>,
  { cell, first, skipped, why, upto, fault }: Release,
): string {
  return JSON.stringify({
    keys: [cell],
    first: first.n,
    upto: upto?.n ?? 0,
    skip: skipped ? { ...placeOf(skipped), why: saying(why ?? '') } : null,
    fault: fault
      ? {
          ...placeOf(fault.at),
          stream: fault.at.event.streamId,
          type: fault.at.event.type,
          error: faultMessage(fault.error),
          attempts: parking ? parking.attempts : 1,
        }
      : null,
  });
}
