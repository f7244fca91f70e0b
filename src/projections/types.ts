/** What the projections room gives to feeds, the gateway and the composition root. */
import type { ShardSeq } from '../protocol/positions.js';
import type { SortField } from './ordering.js';
import type { ProjectionState } from './states.js';

export type { ProjectionState } from './states.js';

export type ChannelValue = string | number | boolean | null;

/** One entry of a change log: a row as it is after a change. */
export interface ChangeEntry {
  readonly log: string;
  readonly shard: number;
  /** Of the log when it was read or written: a follower of another one begins anew. */
  readonly epoch: string;
  /** Also the revision of the row. */
  readonly seq: number;
  readonly key: string;
  /** Values of the channel fields before the change, field → value; null where there was no row. */
  readonly before: Readonly<Record<string, ChannelValue>> | null;
  /** JSON text of the row, as it goes to sockets and Kafka; null where there is none any more. */
  readonly row: string | null;
  /** ISO 8601 UTC with milliseconds. */
  readonly recordedAt: string;
}

/** `key` or `where` (one declared tuple of channel fields) or neither: the whole view. */
export interface SnapshotFilter {
  readonly key?: string;
  readonly where?: Readonly<Record<string, ChannelValue>>;
  /** Only the first of them, in this order: as many as fit into `maxRows` and these bytes. */
  readonly first?: { readonly sort: readonly SortField[]; readonly bytes: number };
}

/** Rows and the position that they were read at, of one database snapshot. */
export interface RowsSnapshot {
  readonly epoch: string;
  /** Heads of all shards of the change log. */
  readonly pos: readonly ShardSeq[];
  /** `[key, rev, JSON text of the row]`, by key unless `first` says otherwise. */
  readonly rows: readonly (readonly [key: string, rev: number, row: string])[];
  /** There are more rows than `maxRows`; `rows` is empty then, unless the first ones were asked for. */
  readonly tooMany: boolean;
}

export interface ProjectionStatus {
  readonly name: string;
  readonly version: number;
  readonly state: ProjectionState;
  /** Events behind the heads, over all shards. Never clamped; null until heads and checkpoints were first read. */
  readonly lag: number | null;
  /** For how long the oldest event that is not in has been there, in ms, to about a second; 0 when all is in, null as `lag`. */
  readonly behindMs: number | null;
  /** Keys whose rows stand still since an event of them could not be folded. */
  readonly parkedKeys: number;
  /** Why it is halted: error, stream, seq. */
  readonly reason?: string;
  /** While its rows are being loaded. */
  readonly progress?: BuildProgress;
}

/** What one process knows of one projection version, from a look at Postgres about once a second. */
export interface VersionFacts {
  readonly name: string;
  readonly version: number;
  readonly state: ProjectionState;
  readonly reason?: string;
  /** False from the begin of a build until its rows are in the table. */
  readonly loaded: boolean;
  /** It was once as far as the version before it, so that it may be served. */
  readonly ready: boolean;
  readonly acceptParked: boolean;
  readonly parkedKeys: number;
  /** Shards that stand still. */
  readonly stops: readonly ShardStop[];
  /** Of a build under way. */
  readonly progress?: BuildProgress;
}

export interface ShardStop {
  readonly source: string;
  readonly shard: number;
  readonly kind: 'halted' | 'needs_newer_code';
  /** The event it stands before, as a person reads it, and the error. */
  readonly reason: string;
  readonly seq: number;
}

export interface BuildProgress {
  /** ISO 8601 UTC. */
  readonly startedAt: string;
  readonly phase: 'loading' | 'indexing';
  readonly events: number;
  readonly total: number;
  /** Events per second of the last few seconds. */
  readonly perSecond: number;
}

/** Asked by whoever reads a view: whether this process may show its rows. `ProjectionRegistry` knows it. */
export interface ServingGate {
  /** Why the view cannot be read now, as a person reads it; undefined where it can. */
  refusal(projection: string): string | undefined;
  /**
   * To be called with the epoch that was read together with rows: they count only where it is the one whose rows may be
   * read. Where it is not, that is looked up once more.
   * @throws TidemarkError `projection_building`; as `Database.query`
   */
  confirm(projection: string, epoch: string): Promise<void>;
}

/** What workers and readers ask before they go on; `ProjectionRegistry` looks it up, tests may set it. */
export interface Directives {
  /** Undefined until the first look. */
  facts(projection: string): VersionFacts | undefined;
  /** Called after a look that found something else than the one before; returns what ends it. */
  onChange(listener: () => void): () => void;
  /** Looks it up now, for whoever must not rely on what was so a second ago. @throws as `Database.query` */
  look?(): Promise<void>;
}
