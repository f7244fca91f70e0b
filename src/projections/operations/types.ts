/** What operators are told of projections; the command line prints it, `/ops/…` answers with it. */
import type { BuildProgress, ProjectionState, ShardStop } from '../types.js';

/** One version of one projection, as Postgres knows it. */
export interface VersionReport {
  readonly name: string;
  readonly version: number;
  readonly state: ProjectionState;
  /** Why it is in that state, where that needs a word. */
  readonly reason: string | null;
  /** When it came to its state; ISO 8601 UTC. */
  readonly since: string;
  /** False while its rows are being loaded. */
  readonly loaded: boolean;
  /** It was once as far as the version before it, so that it may be served. */
  readonly ready: boolean;
  /** It may become ready though keys are parked. */
  readonly acceptParked: boolean;
  /** Events behind the heads, over all shards; never clamped. */
  readonly lag: number;
  readonly parkedKeys: number;
  /** Shards that stand still. */
  readonly stops: readonly StopReport[];
  /** Live processes that have the version in their code. */
  readonly processes: number;
  /** Those of them that write it (the role `projector`). */
  readonly projectors: number;
  /** The SQL view of its name (or of its tables' names) shows this version. */
  readonly inView: boolean;
  /** Of its tables with their indexes; null where there are none, or while something else locks one. */
  readonly bytes: number | null;
  /** Of a build under way. */
  readonly progress: BuildProgress | null;
}

export interface StopReport extends ShardStop {
  /** Since when it stands; ISO 8601 UTC. */
  readonly at: string;
}

/** A version of a projection. */
export interface VersionName {
  readonly name: string;
  readonly version: number;
}

/** A key whose fold threw, or a joined stream's part. */
export interface ParkedReport {
  readonly projection: string;
  readonly version: number;
  /** Empty: a row. Else the joined aggregate; `key` is its stream's id then. */
  readonly part: string;
  readonly key: string;
  /** The event at fault. */
  readonly event: EventName;
  /** What was thrown, without a stack. */
  readonly error: string;
  /** How often it was folded. */
  readonly attempts: number;
  /** ISO 8601 UTC. */
  readonly parkedAt: string;
  /** Events that wait, the one at fault among them. */
  readonly queued: number;
}

export interface EventName {
  readonly source: string;
  readonly shard: number;
  readonly seq: number;
  readonly streamId: string;
  readonly type: string;
}

/** An event that waits behind a parked key, or that was skipped. */
export interface QueuedEvent extends EventName {
  /** In its stream. */
  readonly streamVersion: number;
  /** ISO 8601 UTC. */
  readonly recordedAt: string;
}

export interface SkippedEvent extends QueuedEvent {
  /** ISO 8601 UTC. */
  readonly skippedAt: string;
  readonly why: string;
}

export interface ParkedDetails extends ParkedReport {
  /** The first of those that wait, in their order. */
  readonly events: readonly QueuedEvent[];
  /** The last of those that an operator skipped, in their order. */
  readonly skipped: readonly SkippedEvent[];
  /** Other keys that events tie to this one: they are replayed and skipped together. */
  readonly together: readonly { readonly part: string; readonly key: string }[];
}
