/** Asks the application who shows some credentials: once for all who ask at the same time, never for ever, and never in doubt. */
import { principalFault } from '../domain/identifiers.js';
import type { Credentials, Principal, Rights } from '../domain/rights.js';
import { systemClock, type Clock } from '../platform/clock.js';
import { isTidemarkError, messageOf, TidemarkError } from '../platform/errors.js';
import type { Logger } from '../platform/logger.js';

export interface AuthenticatorOptions {
  readonly rights: Pick<Rights, 'authenticate' | 'anonymous'>;
  readonly logger: Logger;
  readonly clock?: Clock;
  /** Milliseconds that `authenticate` may take; 5,000 by default. */
  readonly timeoutMs?: number;
}

/** Longer tokens are refused unread. */
const MAX_TOKEN_CHARS = 16 * 1024;
const TIMEOUT_MS = 5_000;
/** What keeps callers from being told who they are is logged this often (milliseconds). */
const TOLD_EVERY_MS = 10_000;

const CODES = ['unauthenticated', 'token_expired', 'auth_unavailable'];

/** No text of ours has anything of a token in it; texts of others may quote it. */
const without = (token: string, text: string): string =>
  [token, encodeURIComponent(token)].reduce((rest, one) => rest.replaceAll(one, '[token]'), text);

export class Authenticator {
  readonly #options: AuthenticatorOptions;
  readonly #clock: Clock;
  readonly #asking = new Map<string, Promise<Principal>>();
  #toldAt = Number.NEGATIVE_INFINITY;

  constructor(options: AuthenticatorOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
  }

  async authenticate(credentials: Credentials | undefined): Promise<Principal> {
    if (!credentials) {
      const { anonymous } = this.#options.rights;
      if (anonymous) return anonymous;
      throw new TidemarkError('unauthenticated', 'there is no token');
    }
    const { token, via } = credentials;
    if (token === '' || token.length > MAX_TOKEN_CHARS)
      throw new TidemarkError('unauthenticated', 'the token is not valid');
    const key = `${via} ${token}`;
    const asking = this.#asking.get(key) ?? this.#ask(key, { token, via });
    return asking;
  }

  #ask(key: string, credentials: Credentials): Promise<Principal> {
    const asking = this.#look(credentials).finally(() => this.#asking.delete(key));
    this.#asking.set(key, asking);
    return asking;
  }

  async #look(credentials: Credentials): Promise<Principal> {
    const found = await this.#inTime(credentials);
    if (found === null || found === undefined)
      throw new TidemarkError('unauthenticated', 'the token is not valid');
    const principal = checkedPrincipal(found);
    const { expiresAt } = principal;
    if (expiresAt !== undefined && expiresAt <= this.#clock.now())
      throw new TidemarkError('token_expired', 'the token has expired');
    return principal;
  }

  async #inTime(credentials: Credentials): Promise<unknown> {
    const { rights, timeoutMs = TIMEOUT_MS } = this.#options;
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_resolve, reject) => {
      timer = setTimeout(() => reject(new Error(`no answer within ${timeoutMs} ms`)), timeoutMs);
    });
    try {
      const asked = Promise.resolve().then(() => rights.authenticate(credentials));
      return await Promise.race([asked, late]);
    } catch (thrown) {
      if (isTidemarkError(thrown) && CODES.includes(thrown.code) && thrown.code !== 'auth_unavailable')
        throw thrown;
      this.#tell(credentials.token, isTidemarkError(thrown) ? (thrown.cause ?? thrown) : thrown);
      // Without its cause, which may quote the token.
      throw new TidemarkError('auth_unavailable', 'who calls cannot be found out now', { retryAfter: 1 });
    } finally {
      clearTimeout(timer);
    }
  }

  #tell(token: string, cause: unknown): void {
    const now = this.#clock.monotonic();
    if (now - this.#toldAt < TOLD_EVERY_MS) return;
    this.#toldAt = now;
    this.#options.logger.error(
      { reason: without(token, messageOf(cause)).slice(0, 500) },
      'authenticate failed: callers are answered auth_unavailable',
    );
  }
}

/** A copy, so that nobody changes what others are judged by. @throws TidemarkError `rule_failed` */
function checkedPrincipal(found: unknown): Principal {
  const wrong = (what: string): never => {
    throw new TidemarkError('rule_failed', 'authenticate gave no principal', { cause: new TypeError(what) });
  };
  if (typeof found !== 'object' || found === null) return wrong('expected { id, claims } or null');
  const id = 'id' in found ? found.id : undefined;
  const claims = 'claims' in found ? found.claims : undefined;
  const expiresAt = 'expiresAt' in found ? found.expiresAt : undefined;
  if (typeof id !== 'string') return wrong('id: expected a text');
  const fault = principalFault(id);
  if (fault !== undefined) return wrong(`id: ${fault}`);
  if (typeof claims !== 'object' || claims === null) return wrong('claims: expected an object');
  const principal = { id, claims: claims as Principal['claims'] }; // an object, whose fields are read by name
  if (expiresAt === undefined) return Object.freeze(principal);
  if (typeof expiresAt !== 'number' || Number.isNaN(expiresAt))
    return wrong('expiresAt: expected ms since 1970');
  return Object.freeze({ ...principal, expiresAt: Math.min(expiresAt, Number.MAX_SAFE_INTEGER) });
}
