/** What a partition ended with before a send: where it began anew under one, what was sent last says nothing. */
import type { PartitionEnd, TopicInspector } from '../broker/ports.js';
import type { RelayedLog } from './types.js';

/**
 * The record before an offset.
 * @throws TidemarkError `broker_unavailable`
 */
export async function endBefore(
  inspector: Pick<TopicInspector, 'bounds' | 'recordFrom'>,
  log: RelayedLog,
  shard: number,
  offset: number,
): Promise<PartitionEnd> {
  const { first, next } = await inspector.bounds(log, shard);
  // Nothing stands before it, or the topic was made once more since.
  if (offset <= 0 || next <= offset) return undefined;
  if (first >= offset) return 'emptied';
  const record = await inspector.recordFrom(log, shard, offset - 1);
  return record && record.offset < offset ? record : 'foreign';
}
