/** What the relay works on, and what it tells of its work. */
import type { OutgoingChange, OutgoingEvent, PublishedLog } from '../broker/ports.js';

/** A log that is relayed: of events, or of the changes of a projection version. */
export type RelayedLog = Exclude<PublishedLog, { readonly kind: 'dead-letters' }>;

/** An entry that knows the one before it: its `markOf`; null where that is none, or was trimmed. */
export type RelayEntry = (OutgoingEvent | OutgoingChange) & { readonly follows: string | null };

/** What tells an entry from another one at the same seq, in another life of the database. */
export const markOf = (entry: OutgoingEvent | OutgoingChange): string =>
  entry.kind === 'event' ? entry.eventId : entry.recordedAt;

/** What is counted; all calls are cheap and none may throw. */
export interface RelayObserver {
  /** Kafka has acknowledged them. */
  sent(info: { log: string; entries: number; bytes: number; seconds: number }): void;
  /** Kafka did not have them any more (or not surely): they are sent again. */
  again(info: { log: string; entries: number }): void;
  /** They were trimmed before they were sent. */
  skipped(info: { log: string; entries: number }): void;
  /** A shard was closed; it is opened again after a pause. */
  failed(info: { log: string; code: string }): void;
  /** Nothing was sent or moved, as the shard is (or may be) another’s. */
  fenced(info: { log: string }): void;
}

/**
 * What has been told already, in words of its own: whoever catches it need not log it again.
 */
export class Told extends Error {}
