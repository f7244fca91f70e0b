/**
 * Rights: who calls, and what of the application is theirs. Rules are data and pure functions, as everything of an
 * application is; who somebody is, is asked of `authenticate` alone. What no rule allows is refused.
 */

export type Claims = Readonly<Record<string, unknown>>;

/** Who calls. */
export interface Principal<C = Claims> {
  /** Stands as `actor` in the events that its commands append, and is the scope of its idempotency keys; 1–200 characters. */
  readonly id: string;
  /** What is known of it: of a JWT its claims. */
  readonly claims: C;
  /** Until when that holds, ms since 1970; left out: until it is asked again. */
  readonly expiresAt?: number;
}

/** What a caller shows. */
export interface Credentials {
  readonly token: string;
  /** Where it stood: `Authorization: Bearer`, the cookie that `cookie` names, or an `auth` frame of the socket. */
  readonly via: 'bearer' | 'cookie' | 'frame';
}

/** A value that a row's field must have. */
export type ScopeValue = string | number | boolean | null;

/**
 * The rows of a view that are somebody's: all, none, or those whose fields have these values (`{ customerId: 'c-1' }`).
 * It holds for reads over HTTP and for subscriptions alike.
 */
export type RowScope = boolean | Readonly<Record<string, ScopeValue>>;

/** `'none'`: rights are off. */
export type AppAuth = 'none';
