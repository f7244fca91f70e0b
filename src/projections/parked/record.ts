/** What is to be parked, as `park_v1` takes it. */
import type { AnyProjection } from '../../domain/projection.js';
import { messageOf } from '../../platform/errors.js';
import { cellName } from '../parts/cells.js';
import type { Park, Queued } from './types.js';

/** Of an error's message: a text that somebody else made may hold whatever the event held. */
const MAX_ERROR_CHARS = 1_000;
const MAX_BIGINT = Number.MAX_SAFE_INTEGER;

/** What somebody said, cut, and without what Postgres's text cannot hold. */
export const saying = (text: string): string =>
  text.slice(0, MAX_ERROR_CHARS).replaceAll('\u0000', '\ufffd').toWellFormed();

/** The message only, never a stack; as `saying`. */
export function faultMessage(error: unknown): string {
  const text = saying(messageOf(error));
  return text === '' ? 'nothing was said' : text;
}

/**
 * The argument of `park_v1`; undefined when there is nothing to park or to record.
 * @param parks keys that are parked now
 * @param queued all events that wait, those at fault included, in the order in which they are to be folded
 */
export function parkingArgument(
  projection: Pick<AnyProjection, 'parking'>,
  parks: readonly Park[],
  queued: readonly Queued[],
): string | undefined {
  if (queued.length === 0) return undefined;
  const { maxKeys = 0, maxEvents = MAX_BIGINT } = projection.parking || {};
  const fresh = new Set(parks.map(({ key }) => key));
  const believed = new Set(queued.flatMap(({ key }) => (fresh.has(key) ? [] : [key])));
  return JSON.stringify({
    believed: [...believed].map(cellName),
    parks: parks.map(({ key, event, error, attempts }) => ({
      ...cellName(key),
      source: event.category,
      shard: event.shard,
      seq: event.seq,
      stream: event.streamId,
      type: event.type,
      error: faultMessage(error),
      attempts,
    })),
    events: queued.map(({ key, event: { category, shard, seq } }) => ({
      ...cellName(key),
      source: category,
      shard,
      seq,
    })),
    maxKeys,
    maxEvents,
  });
}
