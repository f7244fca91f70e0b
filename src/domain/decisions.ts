/** What `decide` answers with: events to append, or a rejection that has a code. */

/** How a rejection is to be understood; the edge picks the status: 409, 404 or 422. */
export type RejectionKind = 'conflict' | 'not_found' | 'invalid';

export interface Rejection {
  readonly kind: 'rejection';
  /** Stable, snake_case. */
  readonly code: string;
  readonly as: RejectionKind;
  readonly detail: string | undefined;
}

export interface EmittedEvent<Type extends string = string, Data = unknown> {
  readonly kind: 'emitted';
  readonly type: Type;
  readonly data: Data;
}

export interface RejectionOptions {
  /** `conflict` (409) unless told otherwise. */
  readonly as?: RejectionKind;
  /** A sentence for the caller; never secrets. */
  readonly detail?: string;
}

export const reject = (code: string, options: RejectionOptions = {}): Rejection =>
  Object.freeze({ kind: 'rejection', code, as: options.as ?? 'conflict', detail: options.detail });

/** A checked decision: events with validated data, or a rejection. */
export type Decision = { readonly kind: 'accepted'; readonly events: readonly EmittedEvent[] } | Rejection;
