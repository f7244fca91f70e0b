/**
 * The ports to whatever carries logs between processes. The feed: entries of a log, shard by shard, in order and without a
 * hole. The publisher: where the relay sends them to.
 */
import type { EventMetadata } from '../domain/events.js';

export interface Sequenced {
  readonly shard: number;
  readonly seq: number;
}

/** What a member does with a shard that fell to it. */
export interface ShardReader<E extends Sequenced> {
  /** Where to begin: the first entry handed over is `after + 1`. */
  readonly after: number;
  /**
   * Called with consecutive entries, one call at a time a shard; the next begins when it resolves. When it rejects, the
   * shard is closed and opened again after a pause (so that its checkpoint is read anew).
   */
  handle(entries: readonly E[]): Promise<void>;
  /** The entries after the position were trimmed; the shard is closed until `reopen`. */
  trimmed(low: number): void;
  /** The shard was taken away, or the membership ends; no `handle` is running any more. */
  closed?(): void;
}

export interface JoinRequest<E extends Sequenced> {
  readonly log: string;
  readonly shards: number;
  /** Consumer group; members of one group share the shards when `mode` is `shared`. */
  readonly group: string;
  /** `shared`: shards are spread over the group’s members; `every`: this member reads all shards. */
  readonly mode: 'shared' | 'every';
  /** Entries at the most in one call of `handle`. */
  readonly maxBatch: number;
  /** Asked when a shard falls to this member; undefined means "not now" and is asked again after a pause. */
  open(shard: number): Promise<ShardReader<E> | undefined>;
}

export interface Membership {
  /** Closes a shard and opens it again soon; the way back after `trimmed` or "not now". */
  reopen(shard: number): void;
  /** Resolves when no `handle` runs any more. May be called twice. */
  stop(): Promise<void>;
}

/** Counts for metrics, so that whoever runs it sees how often the arithmetic was needed; none may throw. */
export interface FeedObserver {
  /** An entry was not the next one; what was missing before it has been handed over now. */
  gapHealed?(log: string): void;
  /** Entries came that had been handed over before. */
  repeatsDropped?(log: string, count: number): void;
}

export interface Feed<E extends Sequenced> {
  join(request: JoinRequest<E>): Promise<Membership>;
}

/** A log as it is published: a topic, with as many partitions as it has shards. */
export type PublishedLog =
  | { readonly kind: 'events'; readonly log: string }
  | { readonly kind: 'changes'; readonly log: string; readonly projection: string; readonly version: number };

/** An event as it leaves; JSON is the text that Postgres holds. */
export interface OutgoingEvent extends Sequenced {
  readonly kind: 'event';
  readonly epoch: string;
  readonly eventId: string;
  readonly category: string;
  readonly streamId: string;
  readonly version: number;
  readonly type: string;
  readonly schemaVersion: number;
  readonly data: string;
  /** JSON of an object of strings. */
  readonly tags: string;
  readonly metadata: EventMetadata;
  /** ISO 8601 UTC with milliseconds. */
  readonly recordedAt: string;
}

/** A change of a row as it leaves; JSON is the text that Postgres holds. */
export interface OutgoingChange extends Sequenced {
  readonly kind: 'change';
  readonly log: string;
  readonly epoch: string;
  readonly projection: string;
  readonly key: string;
  /** JSON of the values of the channel fields before it; null where there was no row. */
  readonly before: string | null;
  /** Null where there is no row any more. */
  readonly row: string | null;
  /** ISO 8601 UTC with milliseconds. */
  readonly recordedAt: string;
}

export type OutgoingEntry = OutgoingEvent | OutgoingChange;

/** The last record of a partition, as far as divergence needs it. */
export interface Tail {
  readonly seq: number;
  readonly epoch: string;
  /** `ce_id`: of an event its id, of a change `<log>/<shard>/<seq>`. */
  readonly id: string;
}

/** Where the relay sends to. Every call may be made again; what was sent twice is told apart by (epoch, seq). */
export interface Publisher {
  /**
   * Makes what is missing of the logs’ topics, and checks those that are there.
   * @throws TidemarkError `topic_mismatch` when one has another number of partitions; `broker_unavailable`
   */
  ensure(logs: readonly PublishedLog[], shards: number): Promise<void>;
  /**
   * Sends entries to the shard’s partition, in their order; resolves when all in-sync replicas have them. One call at a
   * time a shard. When it rejects, some of them may be there.
   * @throws TidemarkError `broker_unavailable`; `topic_remade` when the partition begins anew
   */
  publish(log: PublishedLog, shard: number, entries: readonly OutgoingEntry[]): Promise<void>;
  /**
   * The last records of partitions, read together with what others ask for at the same time.
   * @returns undefined where there is none
   * @throws TidemarkError `broker_unavailable`
   */
  tail(log: PublishedLog, shard: number): Promise<Tail | undefined>;
}
