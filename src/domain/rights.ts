/**
 * Rights: who calls, and what of the application is theirs. Rules are pure functions, as everything of an application is;
 * who somebody is, is asked of `authenticate` alone. What no rule allows is refused. How rules are typed: `rules.ts`.
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

/**
 * Says who shows these credentials, or null where they are nobody’s (401). What it throws means that this cannot be told
 * now (503), and so does an answer that takes longer than five seconds.
 */
export type Authenticate<C = Claims> = (
  credentials: Credentials,
) => Principal<C> | null | Promise<Principal<C> | null>;

/** A value that a row's field must have. */
export type ScopeValue = string | number | boolean | null;

/**
 * The rows of a view that are somebody's: all, none, or those whose fields have these values (`{ customerId: 'c-1' }`).
 * It holds for reads over HTTP and for subscriptions alike.
 */
export type RowScope = boolean | Readonly<Record<string, ScopeValue>>;

/** What rules are asked, types erased. */
export interface CommandCall {
  readonly principal: Principal;
  readonly streamId: string;
  readonly command: string;
  /** As its schema gives it. */
  readonly input: unknown;
  /** That is decided on; of a stream without an event the initial one. */
  readonly state: unknown;
}
export interface QueryCall {
  readonly principal: Principal;
  readonly input: unknown;
}
export interface ViewCall {
  readonly principal: Principal;
}
export interface StreamCall {
  readonly principal: Principal;
  readonly streamId: string;
  /** As the stream is now, whatever of its history is asked for. */
  readonly state: unknown;
}
export interface OperateCall {
  readonly principal: Principal;
}

/** A rule with its types erased: what it answers is checked each time. `false` where nothing allows it. */
export type ErasedRule<Call> = boolean | ((call: Call) => unknown);

/** The rules of an application as they are looked up: a name of its own before `*`. */
export interface Rights {
  readonly authenticate: Authenticate;
  /** Name of the cookie that may hold the token. */
  readonly cookie: string | undefined;
  /** Who callers without a token are. */
  readonly anonymous: Principal | undefined;
  /** Milliseconds after which the token of an open socket is looked at again. */
  readonly recheckMs: number;
  readonly operate: ErasedRule<OperateCall>;
  command(aggregate: string, command: string): ErasedRule<CommandCall>;
  query(name: string): ErasedRule<QueryCall>;
  view(name: string): ErasedRule<ViewCall>;
  stream(aggregate: string): ErasedRule<StreamCall>;
}

/** `'none'`: rights are off, everyone is `anonymous` and may do everything. */
export type AppAuth = 'none' | Rights;
