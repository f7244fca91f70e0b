/**
 * The ports to whatever carries logs between processes. The feed: entries of a log, shard by shard, in order and without a
 * hole. The publisher: where the relay sends them to.
 */
import type { RawEvent } from '../event-store/raw-reads.js';
import type { Lease } from '../platform/postgres/leases.js';

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
  /**
   * Asked when a shard falls to this member; undefined means "not now" and is asked again after a pause.
   * @param lease under which it fell to it; of a feed that shares shards by leases
   */
  open(shard: number, lease?: Lease): Promise<ShardReader<E> | undefined>;
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
  /** Kafka gave records that are of no use here: of another epoch than the log’s, or not ours at all. */
  foreignDropped?(log: string, count: number): void;
  /** A look at the heads found entries that Kafka had not given though it had the time. */
  tailFound?(log: string): void;
  /** A shard that was far behind has made it up from Postgres, and is back at what comes. */
  lagMadeUp?(log: string): void;
  /** A consumer was lost, or could not be made; another one takes its place. */
  consumerReplaced?(log: string): void;
}

export interface Feed<E extends Sequenced> {
  join(request: JoinRequest<E>): Promise<Membership>;
}

/** A log as it is published: a topic, with as many partitions as it has shards. */
export type PublishedLog =
  | { readonly kind: 'events'; readonly log: string }
  | { readonly kind: 'changes'; readonly log: string; readonly projection: string; readonly version: number }
  /** Parked events; as many partitions, an event in that of its shard. `log` names it in metrics and logs. */
  | { readonly kind: 'dead-letters'; readonly log: string; readonly projection: string };

/** An event as it leaves; JSON is the text that Postgres holds. */
export type OutgoingEvent = RawEvent;

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

/** A parked event with what went wrong; shard and seq are the event’s. */
export interface OutgoingDeadLetter extends Sequenced {
  readonly kind: 'dead-letter';
  readonly event: OutgoingEvent;
  readonly projection: string;
  readonly error: string;
  readonly attempts: number;
}

export type OutgoingEntry = OutgoingEvent | OutgoingChange | OutgoingDeadLetter;

/** A record of a partition, as far as divergence needs it. */
export interface Tail {
  readonly seq: number;
  readonly epoch: string;
  /** `ce_id`: of an event its id, of a change `<log>/<shard>/<seq>`. */
  readonly id: string;
  /** `ce_time`: what tells two changes of one id apart. */
  readonly time: string;
}

/**
 * The last record of ours in a partition. `emptied`: it had records once, all of them gone by retention; `foreign`: what is
 * there is none of ours, or none was found among what others wrote; undefined: it never had one (the topic is new, or was made
 * again).
 */
export type PartitionEnd = Tail | 'emptied' | 'foreign' | undefined;

/** Where the relay sends to. Every call may be made again; what was sent twice is told apart by (epoch, seq). */
export interface Publisher {
  /**
   * Makes what is missing of the logs’ topics, and checks those that are there.
   * @throws TidemarkError `topic_mismatch` when one has another number of partitions; `broker_refused` when one cannot be
   *   made; `broker_unavailable`
   */
  ensure(logs: readonly PublishedLog[], shards: number): Promise<void>;
  /**
   * Sends entries to the shard’s partition, in their order; resolves when all in-sync replicas have them. One call at a
   * time a shard. When it rejects, some of them may be there.
   * @param check called right before each time that some of them go out; when it throws, no more are sent and the call
   *   rejects with what it threw
   * @throws TidemarkError `broker_unavailable`; `broker_refused`; `record_too_large`; `topic_remade` when the partition begins anew (or lost its end): the entries are
   *   there, and `extra.baseOffset` is the offset of the first of them
   */
  publish(
    log: PublishedLog,
    shard: number,
    entries: readonly OutgoingEntry[],
    check?: () => void,
  ): Promise<void>;
  /**
   * The last records of partitions, read together with what others ask for at the same time. A topic that was there and is
   * gone is made again.
   * @throws TidemarkError `broker_unavailable`
   */
  tail(log: PublishedLog, shard: number): Promise<PartitionEnd>;
}

/** Looks into topics without making any: for whoever looks for the place where Kafka and Postgres part, and for `doctor`. */
export interface TopicInspector {
  /** Brokers that answer. @throws TidemarkError `broker_unavailable` */
  brokers(): Promise<number>;
  /** The topic of a log, and how many partitions it has; undefined where it is not there. @throws TidemarkError `broker_unavailable` */
  topic(log: PublishedLog): Promise<{ readonly name: string; readonly partitions: number | undefined }>;
  /** Offset of a partition’s first record, and that of the next to come. @throws TidemarkError `broker_unavailable` */
  bounds(log: PublishedLog, shard: number): Promise<{ readonly first: number; readonly next: number }>;
  /**
   * The first record of ours at or after an offset; undefined where there is none up to the end.
   * @throws TidemarkError `broker_unavailable`
   */
  recordFrom(
    log: PublishedLog,
    shard: number,
    offset: number,
  ): Promise<(Tail & { readonly offset: number }) | undefined>;
}

/** A record of another system’s topic. */
export interface ForeignRecord {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  /** Milliseconds since 1970, as producer or broker set them. */
  readonly timestamp: number;
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  /** A name that came twice has a list of values. */
  readonly headers: Readonly<Record<string, Buffer | string | (Buffer | string)[] | undefined>>;
}

export interface ReadRecordsRequest {
  readonly topic: string;
  /** Consumer group; its members share the partitions, and one that is new begins at the first record. */
  readonly group: string;
  /**
   * Called with one record at a time a partition, in their order; the group’s offset moves once it resolved. When it
   * rejects, it is called with the same record again after a pause.
   * @param signal aborted when the partition is taken away or the reading ends: let go soon, by rejecting
   */
  handle(record: ForeignRecord, signal: AbortSignal): Promise<void>;
}

export interface RecordReading {
  /** What keeps it from reading, in one line; undefined while all is well. */
  readonly trouble: string | undefined;
  /** Records that stand in the topic behind the last that was read, of this member’s partitions; as last heard. */
  readonly behind: number;
  /** Resolves when no `handle` runs any more. May be called twice. */
  stop(): Promise<void>;
}

/** Reads topics of other systems. */
export interface RecordSource {
  /** Returns at once; whatever goes wrong is tried again for as long as it takes, and stands in `trouble`. */
  read(request: ReadRecordsRequest): RecordReading;
}

/** Where records of other systems go that could not be made commands of. */
export interface RecordGraveyard {
  /**
   * Sends a record to the dead letters of a topic, which are made where they are missing; resolves when all in-sync replicas
   * have it. It may be sent again.
   * @param headers set beside those of the record
   * @throws TidemarkError `broker_unavailable`
   */
  bury(record: ForeignRecord, headers: Readonly<Record<string, string>>): Promise<void>;
}
