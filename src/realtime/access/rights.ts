/** What the gateway asks of an application's rights; the guard of `src/rights` has more, for others. */
import type { AnyProjection } from '../../domain/projection.js';
import type { Credentials, Principal, RowScope } from '../../domain/rights.js';
import { silentLogger } from '../../platform/logger.js';
import { createGuard } from '../../rights/guard.js';

export interface SocketRights {
  /** Everyone is `anonymous`, and may see everything. */
  readonly off: boolean;
  /** Name of the cookie that may hold a token. */
  readonly cookie: string | undefined;
  /** Milliseconds after which the token of an open socket is looked at again. */
  readonly recheckMs: number;
  /** Who callers without a token are; undefined: nobody, they must show one. */
  readonly anonymous: Principal | undefined;
  /**
   * @throws TidemarkError `unauthenticated`, `token_expired`: such a token is not accepted; anything else: it could not be
   *   looked at
   */
  authenticate(credentials: Credentials): Promise<Principal>;
  /**
   * Which rows of a view are the principal's.
   * @throws whatever a rule of the application throws
   */
  scopeOf(principal: Principal, projection: AnyProjection): RowScope;
}

/** Rights are off. */
export const NO_RIGHTS: SocketRights = createGuard({ auth: 'none' }, { logger: silentLogger });
