/** What the parts of a build share. */
import type { StoredEvent } from '../../domain/events.js';
import type { AnyProjection } from '../../domain/projection.js';
import type { Logger } from '../../platform/logger.js';
import type { Database } from '../../platform/postgres/database.js';
import type { Lease } from '../../platform/postgres/leases.js';
import { faultMessage } from '../parked/record.js';

export interface BuildOptions {
  readonly projection: AnyProjection;
  /** `loaderDatabase`: its statements may take as long as they like. */
  readonly db: Database;
  /** Of the election of the builder; compared in every transaction that writes. */
  readonly lease: Lease;
  /** Ends the build at the next event or so; what is loaded stays. */
  readonly signal: AbortSignal;
  readonly logger: Logger;
  /** Called often: gives others a turn of the event loop when it is time to. */
  readonly turn: () => Promise<void>;
  /** Of `Clock.monotonic`, between two flushes of rows of many streams; 5,000 ms unless told otherwise. */
  readonly flushMs?: number;
  /** JSON text of the rows of many streams that are kept in memory, in characters; 64 Mi unless told otherwise. */
  readonly cacheChars?: number;
}

/** How far a shard is loaded. */
export interface BuildShard {
  readonly source: string;
  readonly shard: number;
  readonly seq: number;
  readonly upto: number;
}

export type BuildOutcome =
  /** All rows are in and the version follows its events. */
  | { readonly kind: 'loaded'; readonly events: number }
  /** At least one shard cannot be loaded; the state says so. */
  | { readonly kind: 'stopped'; readonly reason: string }
  /** Another builds, or the version is to be built no more (or from the beginning). */
  | { readonly kind: 'superseded' };

/** An event that a build cannot get past. */
export class BuildStop extends Error {
  override readonly name = 'BuildStop';
  readonly kind: 'halted' | 'needs_newer_code';
  readonly event: StoredEvent;

  constructor(kind: BuildStop['kind'], event: StoredEvent, cause: unknown) {
    const { category, type, streamId, version, shard, seq } = event;
    const place = `${category}.${type} (stream ${JSON.stringify(streamId)} version ${version}, shard ${shard} seq ${seq})`;
    super(`${place}: ${faultMessage(cause)}`, { cause });
    this.kind = kind;
    this.event = event;
  }
}

/** Somebody else builds, or nobody is to build: nothing was written. */
export class Superseded extends Error {
  override readonly name = 'Superseded';
}
