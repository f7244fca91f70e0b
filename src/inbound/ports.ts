/** What inbound needs of others: someone who runs commands, and someone who counts. Brokers are behind broker/ports. */

export interface InboundCommand {
  readonly aggregate: string;
  readonly streamId: string;
  readonly command: string;
  readonly payload: unknown;
  readonly actor: string;
  readonly idempotencyKey: string;
  readonly correlationId: string;
  readonly causationId: string;
  readonly traceparent?: string | undefined;
  readonly signal: AbortSignal;
}

/** The command bus, as far as it is needed here. */
export interface CommandPort {
  /** @throws TidemarkError; the signal’s reason when it was aborted before its turn */
  execute(command: InboundCommand): Promise<unknown>;
}

/**
 * `handled` its commands ran (or it asked for none) · `passed_over` not of the consumer’s types · `dead` it went to the dead
 * letters.
 */
export type RecordOutcome = 'handled' | 'passed_over' | 'dead';

/** Counts for metrics; none may throw. */
export interface InboundObserver {
  record?(consumer: string, outcome: RecordOutcome): void;
  /** A try that failed and will be made again. */
  retried?(consumer: string, code: string): void;
  /** A command had run under the record’s key with another payload: it is not run again. */
  keyReused?(consumer: string): void;
}
