/** What the command bus tells whoever measures it. Called in the hot path: return at once, never throw. */

/**
 * `appended` events were written · `unchanged` nothing was emitted · `duplicate` the stored answer of the same key ·
 * `rejected` the domain said no · `failed` everything else.
 */
export type CommandOutcome = 'appended' | 'unchanged' | 'duplicate' | 'rejected' | 'failed';

export interface FinishedCommand {
  readonly aggregate: string;
  readonly command: string;
  readonly outcome: CommandOutcome;
  /** Code of the error or rejection, absent when there was an answer. Rejections’ codes are the domain’s. */
  readonly code?: string;
  /** Milliseconds from admission to answer. */
  readonly milliseconds: number;
  /** Milliseconds of these spent waiting behind other commands of the stream. */
  readonly waitedMs: number;
  /** Times that it was decided. */
  readonly attempts: number;
  /** Events written. */
  readonly events: number;
}

export interface CommandObserver {
  /** Every command that had an aggregate and a name that exist, refused ones included. */
  finished?(command: FinishedCommand): void;
  /** The stream had moved on since it was decided; it is decided again. */
  conflict?(aggregate: string): void;
  /** A state was wanted: from the cache, or folded from Postgres (`events` of them, after a snapshot or not). */
  loaded?(load: {
    readonly aggregate: string;
    readonly from: 'cache' | 'store';
    readonly events: number;
  }): void;
  snapshot?(aggregate: string, result: 'saved' | 'failed' | 'skipped'): void;
}

/** What stands in the bus now, for gauges. */
export interface CommandBusStats {
  /** Commands, waiting or running. */
  readonly inFlight: number;
  /** Commands waiting behind another of their stream. */
  readonly waiting: number;
  readonly inFlightBytes: number;
  readonly cachedAggregates: number;
  readonly cachedBytes: number;
}
