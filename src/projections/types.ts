/** What the projections room gives to feeds, the gateway and the composition root. */
import type { ShardSeq } from '../protocol/positions.js';

export type ChannelValue = string | number | boolean | null;

/** One entry of a change log: a row as it is after a change. */
export interface ChangeEntry {
  readonly log: string;
  readonly shard: number;
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
}

/** Rows and the position that they were read at, of one database snapshot. */
export interface RowsSnapshot {
  readonly epoch: string;
  /** Heads of all shards of the change log. */
  readonly pos: readonly ShardSeq[];
  /** `[key, rev, JSON text of the row]`, by key. */
  readonly rows: readonly (readonly [key: string, rev: number, row: string])[];
  /** There are more rows than `maxRows`; `rows` is empty then. */
  readonly tooMany: boolean;
}

/**
 * `live`: all that was there a few seconds ago is in. `halted` and `needs_newer_code` are what this process’s own worker
 * has come to; a process without one tells how far the projection is.
 * Moves: catching_up ⇄ live; either → halted | needs_newer_code; those → catching_up when the shard is opened again. */
export type ProjectionState = 'catching_up' | 'live' | 'halted' | 'needs_newer_code';

export interface ProjectionStatus {
  readonly name: string;
  readonly version: number;
  readonly state: ProjectionState;
  /** Events behind the heads, over all shards. Never clamped; null until heads and checkpoints were first read. */
  readonly lag: number | null;
  /** For how long the oldest event that is not in has been there, in ms, to about a second; 0 when all is in, null as `lag`. */
  readonly behindMs: number | null;
  /** Why it is halted: error, stream, seq. */
  readonly reason?: string;
}
