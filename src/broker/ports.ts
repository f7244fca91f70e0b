/** The feed port: entries of a log, shard by shard, in order and without a hole. Postgres now, Kafka with its issue. */

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
