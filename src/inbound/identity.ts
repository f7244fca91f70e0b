/** What makes a command of a record the same command when the record comes again, and what its events remember of it. */
import { createHash } from 'node:crypto';
import type { ForeignRecord } from '../broker/ports.js';
import type { SentCommand } from '../domain/consume.js';
import { idFault } from '../domain/identifiers.js';
import { isTraceparent } from '../platform/traceparent.js';
import { positionOf, type Taken } from './intake.js';
import type { InboundCommand } from './ports.js';

/**
 * The record’s own name: a CloudEvent’s source and id, wherever and however often it is sent; else its place. The time is
 * there for a topic that was made again, whose places begin anew.
 */
const nameOf = (foreign: ForeignRecord, { attributes }: Taken): readonly unknown[] =>
  attributes
    ? [attributes['source'], attributes['id']]
    : [foreign.topic, foreign.partition, foreign.offset, foreign.timestamp];

/**
 * Idempotency keys of a record’s commands, in their order. They follow from the record, the stream and how many commands of
 * that name for that stream come before it in the list; not from the place in the list: a handler that gives one more
 * command than it did yesterday must not have the others run twice.
 */
export function keysOf(
  foreign: ForeignRecord,
  taken: Taken,
  commands: readonly SentCommand[],
): readonly string[] {
  const name = nameOf(foreign, taken);
  const seen = new Map<string, number>();
  return commands.map(({ aggregate, streamId, command }) => {
    const same = JSON.stringify([aggregate, streamId, command]);
    const nth = seen.get(same) ?? 0;
    seen.set(same, nth + 1);
    return createHash('sha256')
      .update(JSON.stringify([...name, streamId, nth]))
      .digest('base64url');
  });
}

type Provenance = Pick<InboundCommand, 'correlationId' | 'causationId' | 'traceparent'>;

/** The events’ metadata: caused by the record, of the conversation and the trace that it names. */
export function provenanceOf(foreign: ForeignRecord, { attributes = {}, record }: Taken): Provenance {
  // What is too long or no text for Postgres would have the command refused for what nobody asked for.
  const causationId = idFault(record.id) === undefined ? record.id : positionOf(foreign);
  const { correlationid } = attributes;
  const traceparent = attributes['traceparent'] ?? record.headers['traceparent'];
  return {
    correlationId:
      correlationid !== undefined && idFault(correlationid) === undefined ? correlationid : causationId,
    causationId,
    ...(traceparent !== undefined && isTraceparent(traceparent) ? { traceparent } : {}),
  };
}
