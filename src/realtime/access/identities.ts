/**
 * Who the open sockets are. A token is looked at once, however many sockets show it, and again from time to time, as it
 * may have been revoked; what is asked grows with tokens, never with sockets.
 */
import type { Credentials, Principal } from '../../domain/rights.js';
import { Gate } from '../../platform/coalesced.js';
import { isTidemarkError } from '../../platform/errors.js';
import type { Logger } from '../../platform/logger.js';
import { jittered } from '../../platform/pause.js';
import type { GatewaySettings } from '../options.js';
import type { GatewayObserver } from '../ports.js';
import { Turns } from '../turns.js';
import type { SocketRights } from './rights.js';

/** Why a token is nobody's (any more). */
export type AuthFailure = 'unauthenticated' | 'token_expired' | 'auth_unavailable';

/** A socket that came in by a token. */
export interface Holder {
  /** The principal has other claims, or another time to expire. */
  renewed(): void;
  /** The token is good no more; the holder has left already. */
  lost(why: AuthFailure): void;
}

/** A token and whose it is, for all sockets that showed it. */
export class Identity {
  readonly credentials: Credentials;
  readonly holders = new Set<Holder>();
  principal: Principal;
  /** When the token was found good last, and when it is looked at again: ms of the monotonic clock. */
  goodAt: number;
  lookAt: number;
  isLooking = false;

  constructor(credentials: Credentials, principal: Principal, now: number, lookAt: number) {
    this.credentials = credentials;
    this.principal = principal;
    this.goodAt = now;
    this.lookAt = lookAt;
  }

  get expired(): boolean {
    return this.principal.expiresAt !== undefined && this.principal.expiresAt <= Date.now();
  }
}

export const failureOf = (error: unknown): AuthFailure => {
  if (isTidemarkError(error, 'token_expired')) return 'token_expired';
  return isTidemarkError(error, 'unauthenticated') ? 'unauthenticated' : 'auth_unavailable';
};

const samePrincipal = (a: Principal, b: Principal): boolean =>
  a.id === b.id && a.expiresAt === b.expiresAt && JSON.stringify(a.claims) === JSON.stringify(b.claims);

export interface IdentitiesDeps {
  readonly rights: SocketRights;
  readonly settings: Pick<GatewaySettings, 'authConcurrency' | 'authGraceMs' | 'maxSocketsPerPrincipal'>;
  readonly observer: GatewayObserver;
  readonly logger: Logger;
}

const keyOf = ({ via, token }: Credentials): string => `${via} ${token}`;

export class Identities {
  readonly #deps: IdentitiesDeps;
  readonly #gate: Gate;
  readonly #known = new Map<string, Identity>();
  readonly #asking = new Map<string, Promise<Identity>>();
  /** Sockets by principal, over all of its tokens. */
  readonly #sockets = new Map<string, number>();
  readonly #losses: Turns<() => void>;
  #warnedAt = -Infinity;

  constructor(deps: IdentitiesDeps) {
    this.#deps = deps;
    this.#gate = new Gate(deps.settings.authConcurrency);
    // Tokens that were given out together expire together.
    this.#losses = new Turns((lose) => lose());
  }

  /**
   * Whose the credentials are. Nothing is kept until `enter`.
   * @throws TidemarkError what `authenticate` throws
   */
  show(credentials: Credentials): Promise<Identity> {
    const key = keyOf(credentials);
    const known = this.#known.get(key);
    if (known && !known.expired) return Promise.resolve(known);
    const running = this.#asking.get(key);
    if (running) return running;
    const asking = this.#gate
      .run(() => this.#deps.rights.authenticate(credentials))
      .then((principal) => {
        const now = performance.now();
        return new Identity(credentials, principal, now, now + jittered(this.#deps.rights.recheckMs));
      })
      .catch((error: unknown) => {
        this.#failed(error);
        throw error;
      })
      .finally(() => this.#asking.delete(key));
    this.#asking.set(key, asking);
    return asking;
  }

  /** @returns the identity that it holds from now on; undefined when the principal has as many sockets as it may */
  enter(shown: Identity, holder: Holder): Identity | undefined {
    const key = keyOf(shown.credentials);
    const known = this.#known.get(key);
    const identity = known && !known.expired ? known : shown;
    const { id } = identity.principal;
    const open = this.#sockets.get(id) ?? 0;
    if (open >= this.#deps.settings.maxSocketsPerPrincipal) return undefined;
    if (known !== identity) {
      if (known) this.#lose(key, known, 'token_expired');
      this.#known.set(key, identity);
    }
    identity.holders.add(holder);
    this.#sockets.set(id, open + 1);
    return identity;
  }

  leave(identity: Identity, holder: Holder): void {
    if (!identity.holders.delete(holder)) return;
    this.#count(identity.principal.id, -1);
    const key = keyOf(identity.credentials);
    if (identity.holders.size === 0 && this.#known.get(key) === identity) this.#known.delete(key);
  }

  /** Its time is over: whoever holds it loses it now. */
  expire(identity: Identity): void {
    this.#lose(keyOf(identity.credentials), identity, 'token_expired');
  }

  /** Ends what has expired, and looks again at tokens whose time has come. @param now ms of the monotonic clock */
  check(now: number): void {
    for (const [key, identity] of this.#known) {
      if (identity.expired) this.#losses.add(() => this.#lose(key, identity, 'token_expired'));
      else if (now >= identity.lookAt && !identity.isLooking) void this.#look(key, identity);
    }
  }

  async #look(key: string, identity: Identity): Promise<void> {
    identity.isLooking = true;
    try {
      const principal = await this.#gate.run(() => this.#deps.rights.authenticate(identity.credentials));
      identity.goodAt = performance.now();
      this.#renew(identity, principal);
    } catch (error) {
      this.#failed(error);
      const why = failureOf(error);
      const isStale = performance.now() - identity.goodAt > this.#deps.settings.authGraceMs;
      if (why !== 'auth_unavailable' || isStale) this.#lose(key, identity, why);
    } finally {
      identity.isLooking = false;
      identity.lookAt = performance.now() + jittered(this.#deps.rights.recheckMs);
    }
  }

  #renew(identity: Identity, principal: Principal): void {
    const before = identity.principal;
    if (samePrincipal(before, principal)) return;
    identity.principal = principal;
    this.#count(before.id, -identity.holders.size);
    this.#count(principal.id, identity.holders.size);
    for (const holder of identity.holders) holder.renewed();
  }

  #lose(key: string, identity: Identity, why: AuthFailure): void {
    if (this.#known.get(key) === identity) this.#known.delete(key);
    this.#count(identity.principal.id, -identity.holders.size);
    const holders = [...identity.holders];
    identity.holders.clear();
    for (const holder of holders) holder.lost(why);
  }

  #count(id: string, more: number): void {
    const sockets = (this.#sockets.get(id) ?? 0) + more;
    if (sockets > 0) this.#sockets.set(id, sockets);
    else this.#sockets.delete(id);
  }

  #failed(error: unknown): void {
    const why = failureOf(error);
    this.#deps.observer.authFailed?.(why);
    if (why !== 'auth_unavailable' || performance.now() - this.#warnedAt < WARN_MS) return;
    this.#warnedAt = performance.now();
    this.#deps.logger.warn({ err: error }, 'tokens cannot be looked at; open sockets go on for now');
  }
}

/** One line in so long says that `authenticate` fails. */
const WARN_MS = 10_000;
