/**
 * As whom a socket stands, from its upgrade to its end, and the frames that wait for that.
 *
 *   asking  → known            its token is looked at; whatever it sends meanwhile waits, in order
 *   waiting → asking           nobody yet (or no more): `auth` within `authTimeoutMs`, or it is closed
 *   known   → asking → known   renewed in place by another token; refused, it goes on as before
 *   known   → waiting          its token expired or was revoked: nothing that it had is its own any more
 */
import type { Principal } from '../../domain/rights.js';
import { isTidemarkError } from '../../platform/errors.js';
import type {
  AuthFrame,
  ClientFrame,
  CloseReason,
  PingFrame,
  ServerFrame,
  SocketErrorCode,
  UnsubReason,
} from '../../protocol/frames.js';
import type { GatewaySettings } from '../options.js';
import type { Caller } from '../sockets/port.js';
import { failureOf, type AuthFailure, type Holder, type Identities, type Identity } from './identities.js';
import type { SocketRights } from './rights.js';

/** Frames that need to know who sends them. */
export type OwnedFrame = Exclude<ClientFrame, AuthFrame | PingFrame>;

export interface StandingDeps {
  readonly rights: SocketRights;
  readonly identities: Identities;
  readonly settings: Pick<GatewaySettings, 'authTimeoutMs' | 'joinTimeoutMs' | 'heldFrameBytes'>;
}

/** The session. */
export interface Bearer {
  handle(frame: OwnedFrame, principal: Principal): void;
  tell(frame: ServerFrame): void;
  error(code: SocketErrorCode, message?: string): void;
  /** The principal, or what it may see, is another. */
  rightsChanged(principal: Principal): void;
  /** Nothing is its own any more. */
  rightsLost(why: UnsubReason): void;
  end(reason: CloseReason): void;
}

/** Tokens that may be refused on one socket; after that it is closed. */
const MAX_REFUSED = 5;

const UNSUB: Readonly<Record<AuthFailure, UnsubReason>> = {
  token_expired: 'token_expired',
  unauthenticated: 'token_revoked',
  auth_unavailable: 'token_revoked',
};

interface HeldFrame {
  readonly frame: OwnedFrame | AuthFrame;
  readonly bytes: number;
}

export class Standing implements Holder {
  readonly #deps: StandingDeps;
  readonly #bearer: Bearer;
  readonly #receivesOnly: boolean;
  #identity: Identity | undefined;
  #principal: Principal | undefined;
  /** `expiresAt` as the client was told it. */
  #told: number | null = null;
  #isAsking = false;
  #isClosed = false;
  /** Since when it is nobody, or its token is looked at: ms of the monotonic clock. */
  #since = performance.now();
  #closeAs: CloseReason = 'auth_timeout';
  #refused = 0;
  #held: HeldFrame[] = [];
  #heldBytes = 0;

  constructor(deps: StandingDeps, bearer: Bearer, caller: Caller) {
    this.#deps = deps;
    this.#bearer = bearer;
    this.#receivesOnly = caller.receivesOnly ?? false;
    const { rights } = deps;
    if (caller.credentials) void this.#show(caller.credentials);
    else if (rights.anonymous) this.#principal = rights.anonymous;
    else if (this.#receivesOnly) setImmediate(() => this.#end('unauthenticated'));
  }

  /** It is known who it is. */
  get isKnown(): boolean {
    return this.#principal !== undefined;
  }

  /** Handles a frame now, or once it is known who sends it. */
  take(frame: OwnedFrame | AuthFrame, bytes: number): void {
    if (this.#identity?.expired) this.#deps.identities.expire(this.#identity);
    if (this.#isAsking || (frame.t !== 'auth' && !this.#principal)) return this.#hold(frame, bytes);
    if (frame.t === 'auth') return this.#auth(frame);
    if (this.#principal) this.#bearer.handle(frame, this.#principal);
  }

  /** @param now ms of the monotonic clock */
  check(now: number): void {
    const { authTimeoutMs, joinTimeoutMs } = this.#deps.settings;
    const waited = now - this.#since;
    if (this.#isAsking && waited > joinTimeoutMs) this.#end('auth_unavailable');
    else if (!this.#isAsking && !this.#principal && waited > authTimeoutMs) this.#end(this.#closeAs);
  }

  close(): void {
    this.#isClosed = true;
    this.#held = [];
    if (this.#identity) this.#deps.identities.leave(this.#identity, this);
    this.#identity = undefined;
  }

  renewed(): void {
    if (!this.#identity) return;
    const { principal } = this.#identity;
    this.#principal = principal;
    this.#tellExpiry(principal, false);
    this.#bearer.rightsChanged(principal);
  }

  lost(why: AuthFailure): void {
    this.#identity = undefined;
    this.#principal = undefined;
    // Not known whether anything was lost: it keeps its rows and comes back.
    if (why === 'auth_unavailable') return this.#end(why);
    this.#bearer.rightsLost(UNSUB[why]);
    if (this.#receivesOnly) return this.#end(why);
    this.#closeAs = why;
    this.#since = performance.now();
  }

  #auth({ token }: AuthFrame): void {
    if (this.#deps.rights.off) return this.#bearer.error('auth_off');
    void this.#show({ token, via: 'frame' });
  }

  async #show(credentials: Identity['credentials']): Promise<void> {
    this.#isAsking = true;
    this.#since = performance.now();
    try {
      const identity = await this.#deps.identities.show(credentials);
      this.#isAsking = false;
      if (!this.#isClosed) this.#accept(identity);
    } catch (error) {
      this.#isAsking = false;
      if (!this.#isClosed) this.#refuse(error, credentials.via === 'frame');
    }
    this.#letGo();
  }

  #accept(shown: Identity): void {
    const { identities } = this.#deps;
    const before = this.#identity;
    const wasKnown = this.#principal !== undefined;
    if (before) identities.leave(before, this);
    this.#identity = identities.enter(shown, this);
    if (!this.#identity) return this.#end('too_many_connections');
    const { principal } = this.#identity;
    this.#principal = principal;
    this.#refused = 0;
    this.#tellExpiry(principal, true);
    if (wasKnown) this.#bearer.rightsChanged(principal);
  }

  #refuse(error: unknown, byFrame: boolean): void {
    const why = failureOf(error);
    this.#refused++;
    const isKnown = this.#principal !== undefined;
    if (why === 'auth_unavailable' && !isKnown) return this.#end(why);
    this.#bearer.error(
      why === 'auth_unavailable' ? 'auth_unavailable' : 'auth_refused',
      isTidemarkError(error) && why !== 'auth_unavailable' ? error.message : undefined,
    );
    // A cookie may be an old one, and a token still come; who sent a frame said all that there was.
    const isOver = (byFrame && !isKnown) || this.#receivesOnly || this.#refused >= MAX_REFUSED;
    if (isOver) return this.#end(why);
    if (!isKnown) {
      this.#closeAs = why;
      this.#since = performance.now();
    }
  }

  #hold(frame: OwnedFrame | AuthFrame, bytes: number): void {
    this.#heldBytes += bytes;
    if (this.#heldBytes > this.#deps.settings.heldFrameBytes) return this.#end('flooding');
    this.#held.push({ frame, bytes });
  }

  /** What waited goes on, in order; for who is nobody yet, an `auth` goes first. */
  #letGo(): void {
    while (!this.#isClosed && !this.#isAsking && this.#held.length > 0) {
      const next = this.#principal ? 0 : this.#held.findIndex(({ frame }) => frame.t === 'auth');
      const [held] = next < 0 ? [] : this.#held.splice(next, 1);
      if (!held) return;
      this.#heldBytes -= held.bytes;
      this.take(held.frame, held.bytes);
    }
  }

  #tellExpiry(principal: Principal, always: boolean): void {
    const expiresAt = principal.expiresAt ?? null;
    if (!always && expiresAt === this.#told) return;
    this.#told = expiresAt;
    this.#bearer.tell({ t: 'authed', expiresAt });
  }

  #end(reason: CloseReason): void {
    if (!this.#isClosed) this.#bearer.end(reason);
  }
}
