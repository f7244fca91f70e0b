/** The event store's contract: what the write side and the feeds need of it. */
import type { EventMetadata, StoredEvent, Tags } from '../domain/events.js';

export interface NewEvent {
  /** UUID v7. */
  readonly eventId: string;
  readonly type: string;
  readonly schemaVersion: number;
  /** JSON text, at most 512 KiB. */
  readonly data: string;
  readonly tags: Tags;
  readonly metadata: EventMetadata;
}

/** The version a stream must be at: a number (0: it has no event), at least one event, or anything. */
export type ExpectedVersion = number | 'exists' | 'any';

export interface StreamAppend {
  readonly category: string;
  readonly streamId: string;
  readonly expected: ExpectedVersion;
  /** None: only the version is confirmed (and the idempotency key looked up and recorded). */
  readonly events: readonly NewEvent[];
}

export interface IdempotencyClaim {
  /** Actor and route. */
  readonly scope: string;
  readonly key: string;
  /** SHA-256 over what makes the request the same request. */
  readonly requestHash: Buffer;
  /** False: look the key up, but do not record it (a rejection that is being confirmed). */
  readonly record: boolean;
}

/** All streams of a request are appended, or none is. */
export interface AppendRequest {
  readonly streams: readonly StreamAppend[];
  readonly idempotency?: IdempotencyClaim;
}

export interface AppendedEvent {
  readonly type: string;
  readonly version: number;
  readonly eventId: string;
}

/** Where a stream stands after an append (or a confirmation), as its answer and token need it. */
export interface AppendedStream {
  readonly category: string;
  readonly streamId: string;
  /** Version after it; 0 where there is no event. */
  readonly version: number;
  readonly shard: number;
  readonly epoch: string;
  /** Seq of the stream’s last event; 0 where there is none. */
  readonly seq: number;
  readonly events: readonly AppendedEvent[];
}

export type AppendOutcome =
  /** `recordedAt`: ISO 8601 UTC with milliseconds; one for all events of the request. */
  | { readonly kind: 'appended'; readonly streams: readonly AppendedStream[]; readonly recordedAt: string }
  /** The key was used for the same request: its answer. */
  | { readonly kind: 'duplicate'; readonly streams: readonly AppendedStream[] }
  /** The key was used for another request. */
  | { readonly kind: 'key_reused' }
  | {
      readonly kind: 'conflict';
      readonly category: string;
      readonly streamId: string;
      readonly actual: number;
    };

/** A page of a log, or word that what was asked for is trimmed. Entries follow `after` without a hole. */
export type LogPage<E> =
  | { readonly kind: 'entries'; readonly entries: readonly E[] }
  | { readonly kind: 'trimmed'; readonly low: number };

export interface StreamReadOptions {
  readonly category: string;
  readonly streamId: string;
  /** First version to read, inclusive; forwards from 1, backwards from the last, unless told otherwise. */
  readonly from?: number;
  readonly direction?: 'forwards' | 'backwards';
  /** Events at the most. */
  readonly limit: number;
}

export interface Snapshot {
  readonly version: number;
  /** JSON text of the state. */
  readonly state: string;
}

export interface EventStore {
  /**
   * Appends as one of a group commit; resolves with this request’s own answer.
   * Order of checks, all under the shard locks: idempotency key, then expected versions.
   * @throws TidemarkError `append_refused` when Postgres refuses the data (its neighbours commit), `overloaded` when the
   *   queue is full, `outcome_unknown`, `database_unavailable`
   */
  append(request: AppendRequest): Promise<AppendOutcome>;
  readStream(options: StreamReadOptions): Promise<StoredEvent[]>;
  /** Entries of one shard after a seq, in order. May be fewer than `limit` though there are more, when they are large. */
  readShard(category: string, shard: number, after: number, limit: number): Promise<LogPage<StoredEvent>>;
  /**
   * The newest snapshot whose fingerprint is the running code’s, or undefined. `fingerprint` names what the state was
   * folded with; a snapshot of another is as if it were not there.
   */
  loadSnapshot(category: string, streamId: string, fingerprint: string): Promise<Snapshot | undefined>;
  saveSnapshot(category: string, streamId: string, fingerprint: string, snapshot: Snapshot): Promise<void>;
}
