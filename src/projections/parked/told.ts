/** Parked keys in the log: one line each, wherever they were met. */
import type { StoredEvent } from '../../domain/events.js';
import type { Logger } from '../../platform/logger.js';
import { faultMessage } from './record.js';
import type { Park } from './types.js';

/** Names an event for a reader of logs and reasons; never its data. */
export const eventText = (event: StoredEvent): string =>
  `${event.category}.${event.type} (stream ${JSON.stringify(event.streamId)} version ${event.version}, shard ${event.shard} seq ${event.seq})`;

/** @param parks keys that are parked by now, and committed as that */
export function tellParks(logger: Pick<Logger, 'error'>, parks: readonly Park[]): void {
  for (const { key, event, error } of parks) {
    logger.error(
      { key, event: eventText(event), reason: faultMessage(error) },
      'a key is parked; see `tidemark parked`',
    );
  }
}
