/** Rights for realtime tests: tokens that a test gives out, changes and revokes, and rules that go by their claims. */
import { defineApp } from 'tidemark';
import type { Credentials, Principal, RowScope } from '../../../src/domain/rights.js';
import { silentLogger } from '../../../src/platform/logger.js';
import { createGuard } from '../../../src/rights/guard.js';
import type { SocketRights } from '../../../src/realtime/access/rights.js';
import { Board, boardApp } from './board.js';

/** What an application's `authenticate` would look up: token → whose it is. */
export class Passes {
  readonly #known = new Map<string, Principal>();
  /** Tokens in the order in which they were looked at. */
  readonly asked: Credentials[] = [];
  /** While it is set, nobody can be told who shows a token. */
  away = false;
  /** Looks wait for it. */
  held: Promise<void> | undefined;
  readonly rights: SocketRights;

  /** @param options.recheckMs shorter than an application may say, so that tests need not wait */
  constructor(options: { readonly recheckMs?: number; readonly anonymous?: Principal } = {}) {
    const { recheckMs = 60_000, anonymous } = options;
    const app = defineApp({
      name: 'boards',
      aggregates: boardApp.aggregates,
      projections: [Board],
      auth: {
        authenticate: (credentials) => this.#look(credentials),
        cookie: 'session',
        ...(anonymous ? { anonymous } : {}),
        views: { board: ({ principal }: { readonly principal: Principal }) => scopeOf(principal) },
      },
    });
    this.rights = { ...createGuard(app, { logger: silentLogger }), recheckMs };
  }

  /** @param scope the rows that are theirs; `'broken'`: the rule throws */
  give(token: string, id: string, scope: RowScope | 'broken', expiresAt?: number): string {
    const claims = { scope };
    this.#known.set(token, expiresAt === undefined ? { id, claims } : { id, claims, expiresAt });
    return token;
  }

  revoke(token: string): void {
    this.#known.delete(token);
  }

  async #look(credentials: Credentials): Promise<Principal | null> {
    this.asked.push(credentials);
    await this.held;
    if (this.away) throw new Error(`nobody is at home for ${credentials.token}`);
    return this.#known.get(credentials.token) ?? null;
  }
}

function scopeOf({
  claims,
}: Principal): boolean | { readonly id?: string; readonly list?: string; readonly done?: boolean | null } {
  const { scope } = claims;
  if (typeof scope === 'boolean') return scope;
  if (typeof scope === 'object' && scope !== null) return scope;
  throw new Error('the rule is broken');
}
