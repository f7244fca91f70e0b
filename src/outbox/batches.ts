/** Pages cut into what goes to Kafka in one request. */
import type { OutgoingChange, OutgoingEvent } from '../broker/ports.js';

export interface BatchLimits {
  /** Bytes of a batch at the most, as estimated here; a larger entry goes alone. */
  readonly maxBytes: number;
  readonly maxEntries: number;
}

/** Below the 1 MiB that a broker takes in one batch unless told otherwise, with what is not counted. */
export const BATCH_LIMITS: BatchLimits = { maxBytes: 900_000, maxEntries: 500 };

/** Header names, fixed values, and what Kafka puts around a record. */
const RECORD_BYTES = 600;
/** UTF-8 bytes of a UTF-16 code unit at the most. */
const WORST = 3;

/** About what an entry takes in a batch, rather too much than too little; large texts are measured. */
function bytesOf(entry: OutgoingEvent | OutgoingChange): number {
  if (entry.kind === 'event') {
    const { streamId, type, metadata } = entry;
    const names = 2 * streamId.length + type.length + metadata.actor.length;
    const ids = metadata.correlationId.length + metadata.causationId.length;
    return (
      RECORD_BYTES + WORST * (names + ids) + Buffer.byteLength(entry.data) + Buffer.byteLength(entry.tags)
    );
  }
  const { row, before, key, log } = entry;
  const texts = Buffer.byteLength(row ?? '') + Buffer.byteLength(before ?? '');
  return RECORD_BYTES + WORST * (2 * key.length + log.length) + texts;
}

export interface Batch<E> {
  readonly entries: readonly E[];
  readonly bytes: number;
}

/** In their order; none is empty. */
export function* batchesOf<E extends OutgoingEvent | OutgoingChange>(
  entries: readonly E[],
  { maxBytes, maxEntries }: BatchLimits,
): Generator<Batch<E>> {
  let from = 0;
  let bytes = 0;
  for (const [index, entry] of entries.entries()) {
    const size = bytesOf(entry);
    if (index > from && (bytes + size > maxBytes || index - from >= maxEntries)) {
      yield { entries: entries.slice(from, index), bytes };
      [from, bytes] = [index, 0];
    }
    bytes += size;
  }
  if (from < entries.length) yield { entries: entries.slice(from), bytes };
}
