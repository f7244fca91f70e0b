/** What `decide` answers with: events to append, or a rejection that has a code. */

import { DomainError } from './errors.js';

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

const CODE = /^[a-z][a-z0-9_]{0,79}$/;

/** @throws DomainError `invalid_emit` when the code is not snake_case: clients switch on it, so it must last */
export function reject(code: string, options: RejectionOptions = {}): Rejection {
  if (!CODE.test(code))
    throw new DomainError(
      'invalid_emit',
      `reject(${JSON.stringify(code)}): expected a code like ${CODE.source}`,
    );
  return Object.freeze({ kind: 'rejection', code, as: options.as ?? 'conflict', detail: options.detail });
}

/** A checked decision: events with validated data, or a rejection. */
export type Decision = { readonly kind: 'accepted'; readonly events: readonly EmittedEvent[] } | Rejection;
