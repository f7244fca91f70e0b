/** Events of a test as the store takes them, as if a command had given them. */
import type { AnyAggregate } from '../domain/aggregate.js';
import type { NewEvent, StreamAppend } from '../event-store/types.js';
import { newId } from '../platform/ids.js';
import { asStored, evolveChecked, tagsChecked, type Happening, type Stand } from './rehearsal.js';

/**
 * @param before where the stream stands; it must still stand there
 * @throws AssertionError when an event, or the state after it, breaks its schema
 */
export function appendOf(
  aggregate: AnyAggregate,
  streamId: string,
  before: Stand,
  happenings: readonly Happening[],
): StreamAppend {
  let stand = before;
  const events = happenings.map((happening): NewEvent => {
    const stored = asStored(aggregate, happening, { streamId, version: stand.version + 1 });
    stand = evolveChecked(aggregate, stand, stored);
    const { type, schemaVersion, data, metadata } = stored;
    const tags = tagsChecked(aggregate, stand);
    return { eventId: newId(), type, schemaVersion, data: JSON.stringify(data), tags, metadata };
  });
  return { category: aggregate.name, streamId, expected: before.version, events };
}
