/**
 * The guard: asks who calls, and the rules what of the application is theirs. Whatever it is unsure of it refuses: a rule
 * that throws, that answers with anything but what it should, a principal that is none.
 */
import type { AnyApp } from '../domain/app.js';
import type { AnyProjection } from '../domain/projection.js';
import type {
  CommandCall,
  Credentials,
  ErasedRule,
  Principal,
  QueryCall,
  RowScope,
  StreamCall,
} from '../domain/rights.js';
import { TidemarkError } from '../platform/errors.js';
import type { Logger } from '../platform/logger.js';
import { Authenticator, type AuthenticatorOptions } from './authenticator.js';
import { checkedScope } from './scopes.js';

/** Whether a call is allowed. @throws TidemarkError `rule_failed` */
export type Permit<Call> = (call: Omit<Call, 'principal'>) => boolean;

export interface Guard {
  /** Everyone is `anonymous` and may do everything. */
  readonly off: boolean;
  /** Name of the cookie that may hold a token. */
  readonly cookie: string | undefined;
  /** Who callers without a token are; undefined: they are refused. */
  readonly anonymous: Principal | undefined;
  /** Milliseconds after which the token of an open socket is looked at again. */
  readonly recheckMs: number;
  /**
   * Calls with the same credentials at the same time share one look.
   * @param credentials undefined: the caller shows nothing
   * @throws TidemarkError `unauthenticated`, `token_expired`, `auth_unavailable`, `rule_failed`
   */
  authenticate(credentials: Credentials | undefined): Promise<Principal>;
  /** @returns what to ask once input and state are known. @throws TidemarkError `forbidden` where no rule can allow it */
  mayCommand(principal: Principal, aggregate: string, command: string): Permit<CommandCall>;
  /** @returns what to ask once the input is known. @throws TidemarkError `forbidden` where no rule can allow it */
  mayQuery(principal: Principal, query: string): Permit<QueryCall>;
  /** @returns what to ask once the state is known. @throws TidemarkError `forbidden` where no rule can allow it */
  mayReadStream(principal: Principal, aggregate: string): Permit<StreamCall>;
  /** Which rows are theirs; each field of it is one of the row, with a value of its type. @throws TidemarkError `rule_failed` */
  scopeOf(principal: Principal, projection: AnyProjection): RowScope;
  /** Whether they may call `/ops/…`. @throws TidemarkError `rule_failed` */
  mayOperate(principal: Principal): boolean;
}

/** Who everyone is where rights are off. */
export const ANONYMOUS: Principal = Object.freeze({ id: 'anonymous', claims: Object.freeze({}) });

export const forbidden = (what: string): TidemarkError =>
  new TidemarkError('forbidden', `no rule allows ${what} to whoever calls`);

const ruleFailed = (what: string, cause: unknown): TidemarkError =>
  new TidemarkError('rule_failed', `the rule for ${what} failed`, { cause });

function asked<Call>(what: string, rule: ErasedRule<Call>, call: Call): unknown {
  if (typeof rule === 'boolean') return rule;
  try {
    return rule(call);
  } catch (cause) {
    throw ruleFailed(what, cause);
  }
}

/** A promise is truthy, and so is much else: only `true` is yes, and only `false` is no. */
function answered<Call>(what: string, rule: ErasedRule<Call>, call: Call): boolean {
  const answer = asked(what, rule, call);
  if (typeof answer === 'boolean') return answer;
  throw ruleFailed(what, new TypeError(`expected true or false, not ${typeof answer}`));
}

function permit<Call extends { readonly principal: Principal }>(
  what: string,
  rule: ErasedRule<Call>,
  complete: (call: Omit<Call, 'principal'>) => Call,
): Permit<Call> {
  if (rule === false) throw forbidden(what);
  return (call) => answered(what, rule, complete(call));
}

const everything = (): boolean => true;

const offGuard: Guard = {
  off: true,
  cookie: undefined,
  anonymous: ANONYMOUS,
  recheckMs: 60_000,
  authenticate: () => Promise.resolve(ANONYMOUS),
  mayCommand: () => everything,
  mayQuery: () => everything,
  mayReadStream: () => everything,
  scopeOf: () => true,
  mayOperate: everything,
};

export interface GuardDeps extends Omit<AuthenticatorOptions, 'rights'> {
  readonly logger: Logger;
}

export function createGuard({ auth }: Pick<AnyApp, 'auth'>, deps: GuardDeps): Guard {
  if (auth === 'none') return offGuard;
  const authenticator = new Authenticator({ ...deps, rights: auth });
  const { cookie, anonymous, recheckMs } = auth;
  return {
    off: false,
    cookie,
    anonymous,
    recheckMs,
    authenticate: (credentials) => authenticator.authenticate(credentials),
    mayCommand: (principal, aggregate, command) =>
      permit(`command ${aggregate}.${command}`, auth.command(aggregate, command), (call) => ({
        ...call,
        principal,
      })),
    mayQuery: (principal, query) =>
      permit(`query ${query}`, auth.query(query), (call) => ({ ...call, principal })),
    mayReadStream: (principal, aggregate) =>
      permit(`streams of ${aggregate}`, auth.stream(aggregate), (call) => ({ ...call, principal })),
    scopeOf(principal, projection) {
      const what = `view ${projection.name}`;
      const scope = checkedScope(projection, asked(what, auth.view(projection.name), { principal }));
      if (typeof scope === 'object' && 'wrong' in scope && typeof scope.wrong === 'string')
        throw ruleFailed(what, new TypeError(scope.wrong));
      return scope;
    },
    mayOperate: (principal) => answered('operators', auth.operate, { principal }),
  };
}
