/**
 * Leases: who reads which shard, who writes which projection. They spread work and elect; what makes a write exact is the
 * compare-and-set of its checkpoint, or the lease row locked and compared in the very transaction (holder and term).
 *
 * A process renews one row of its own, once a second, in the call that also takes what is free. When its connection is
 * gone its leases are free at once; when it only stands still, after the time to live.
 */
import { randomBytes } from 'node:crypto';
import { service, type Service } from '../lifecycle.js';
import type { Logger } from '../logger.js';
import { Bell, jittered } from '../pause.js';
import type { Database } from './database.js';

export interface Lease {
  readonly scope: string;
  readonly item: number;
  readonly holder: string;
  /** Rises with every new holder. */
  readonly term: number;
}

/** Who wants leases of a scope. */
export interface LeaseTaker {
  gained(lease: Lease): void;
  /** The lease is another's, or is to be given to another; resolves when nothing runs under it any more. */
  lost(lease: Lease): Promise<void>;
}

export interface Participation {
  /**
   * Gives a lease back that this process has no use for, when nothing runs under it any more, and leaves it to others for a
   * while. They take it though they have their fair share already.
   * @throws as `Database.query`; it is held as before then
   */
  yieldFor(item: number, ms: number): Promise<void>;
  /** Gives all leases of the scope back, each after its `lost`. May be called twice. */
  leave(): Promise<void>;
}

export interface LeasesOptions {
  /**
   * A pool of one connection, for nothing else: while that connection lives, so does this process for the others.
   */
  readonly db: Database;
  readonly logger: Logger;
  /** After how long a process that stands still has lost its leases; 8,000 ms unless told otherwise. */
  readonly ttlMs?: number;
  /** About how often it renews; 1,000 ms unless told otherwise. */
  readonly beatMs?: number;
}

/** Of the time to live: for how long after the begin of a beat a lease is surely held. */
const SURE_PART = 0.75;

/** Renews, takes, and tells what is held; see the function. $1 member, $2 ttl, $3–4 scopes, $5–6 left to others. */
const beatCall = (db: Database): string =>
  `SELECT scope, item, term, share FROM ${db.table('lease_beat_v2')}($1, $2::int, $3::text[], $4::int[], $5::text[], $6::int[])`;
/**
 * Gives a lease back. Locks: its row; waits for transactions that compare it. $1 member, $2 scope, $3 item, $4 whether others
 * are to try it.
 */
const giveBack = (db: Database): string =>
  `UPDATE ${db.table('leases')} SET holder = NULL, yielded_by = CASE WHEN $4::boolean THEN $1 END
   WHERE holder = $1 AND scope = $2 AND item = $3::int`;
/**
 * Leaves a scope: all its leases go back, also those that a beat took in the meantime, and the others’ shares grow.
 * Locks: the member's row, then as above. $1 member, $2 scope.
 */
const leaveScope = (db: Database): string =>
  `WITH gone AS (UPDATE ${db.table('members')} SET scopes = array_remove(scopes, $2) WHERE member = $1)
   UPDATE ${db.table('leases')} SET holder = NULL, yielded_by = NULL WHERE holder = $1 AND scope = $2`;
/** The process goes: whatever it still held is free. Locks: as above. $1 member. */
const goAway = (db: Database): string =>
  `WITH gone AS (DELETE FROM ${db.table('members')} WHERE member = $1)
   UPDATE ${db.table('leases')} SET holder = NULL, yielded_by = NULL WHERE holder = $1`;

interface Held {
  readonly lease: Lease;
  /** Set once it is being given up. */
  leaving?: Promise<void> | undefined;
  /** It is another's, as a beat told. */
  lost?: boolean;
}

interface Scope {
  readonly name: string;
  readonly items: number;
  readonly taker: LeaseTaker;
  readonly held: Map<number, Held>;
  /** Items left to others → until when (monotonic ms). */
  readonly shy: Map<number, number>;
  left?: Promise<void>;
}

export class Leases implements Service {
  readonly name = 'leases';
  /** Names this process among the holders. */
  readonly member = randomBytes(9).toString('base64url');
  readonly #options: LeasesOptions;
  readonly #life: Service;
  readonly #bell = new Bell();
  readonly #scopes = new Map<string, Scope>();
  #running: Promise<void> | undefined;
  #stopping = false;
  #failing = false;
  /** Until when (monotonic ms) nobody else can have what the last beat told. */
  #sureUntil = Number.NEGATIVE_INFINITY;

  constructor(options: LeasesOptions) {
    this.#options = options;
    // Others take the leases as soon as the connection is gone.
    options.db.onLost(() => (this.#sureUntil = Number.NEGATIVE_INFINITY));
    this.#life = service(this.name, {
      start: () => {
        this.#running = this.#run();
        return Promise.resolve();
      },
      stop: () => this.#end(),
    });
  }

  start(): Promise<void> {
    return this.#life.start();
  }

  /** Gives everything back, so that others need not wait. */
  stop(): Promise<void> {
    return this.#life.stop();
  }

  /**
   * Takes part in a scope: a fair share of its leases (items 0 to items − 1), the only one of a scope of one.
   * @throws Error when this process takes part already
   */
  join(scope: string, items: number, taker: LeaseTaker): Participation {
    if (this.#scopes.has(scope)) throw new Error(`this process takes part in ${scope} already`);
    const joined: Scope = { name: scope, items, taker, held: new Map(), shy: new Map() };
    this.#scopes.set(scope, joined);
    this.#bell.ring();
    return {
      yieldFor: (item, ms) => this.#yieldFor(joined, item, ms),
      leave: () => (joined.left ??= this.#leave(joined)),
    };
  }

  /**
   * Whether a lease is still this process’s by its own clock, whatever it has not heard yet: for who is about to do something
   * that Postgres does not check. False is no news of a loss: the next beat may say that all is well.
   */
  sure({ scope, item, term }: Lease): boolean {
    const held = this.#scopes.get(scope)?.held.get(item);
    return held?.lease.term === term && held.lost !== true && performance.now() < this.#sureUntil;
  }

  async #run(): Promise<void> {
    const { logger, beatMs = 1_000 } = this.#options;
    while (!this.#stopping) {
      // Also where nothing is held: the beat says that this process lives.
      try {
        await this.#beat();
        if (this.#failing) logger.info('leases are renewed again');
        this.#failing = false;
      } catch (err) {
        if (!this.#failing) logger.warn({ err }, 'leases cannot be renewed; trying on');
        this.#failing = true;
      }
      if (!this.#stopping) await this.#bell.wait(jittered(beatMs * 1.33));
    }
  }

  async #beat(): Promise<void> {
    const scopes = [...this.#scopes.values()].filter(({ left }) => left === undefined);
    const now = performance.now();
    const shy = scopes.flatMap(({ name, shy: items }) =>
      [...items].filter(([, until]) => until > now).map(([item]) => ({ name, item })),
    );
    const ttlMs = this.#options.ttlMs ?? 8_000;
    const rows = await this.#options.db.query<[string, number | null, number, number]>(
      beatCall(this.#options.db),
      [
        this.member,
        ttlMs,
        scopes.map(({ name }) => name),
        scopes.map(({ items }) => items),
        shy.map(({ name }) => name),
        shy.map(({ item }) => item),
      ],
    );
    // Postgres counts from later on; a part is left for what is on its way when the time is up.
    this.#sureUntil = now + ttlMs * SURE_PART;
    for (const scope of scopes) {
      if (scope.left !== undefined) continue;
      const own = rows.filter(([name]) => name === scope.name);
      const terms = new Map(own.flatMap(([, item, term]) => (item === null ? [] : [[item, term] as const])));
      this.#settle(scope, terms, own[0]?.[3] ?? scope.items);
    }
  }

  /** Makes what the taker knows what Postgres says, and gives up what is above the fair share. */
  #settle(scope: Scope, terms: ReadonlyMap<number, number>, share: number): void {
    for (const [item, held] of scope.held) {
      if (held.leaving === undefined && terms.get(item) !== held.lease.term) this.#drop(scope, held, false);
    }
    for (const [item, term] of terms) {
      if (scope.held.has(item)) continue;
      const lease = { scope: scope.name, item, holder: this.member, term };
      scope.held.set(item, { lease });
      scope.shy.delete(item);
      scope.taker.gained(lease);
    }
    const staying = [...scope.held.values()].filter(({ leaving }) => leaving === undefined);
    for (const held of staying.slice(share)) this.#drop(scope, held, true);
  }

  /** Lets the taker finish, then forgets the lease; `giveBack` when it is still ours to give. */
  #drop(scope: Scope, held: Held, back: boolean): void {
    const { item } = held.lease;
    held.lost = !back;
    held.leaving = scope.taker
      .lost(held.lease)
      .then(() => (back ? this.#giveBack(scope, item, false) : undefined))
      .catch((err: unknown) =>
        this.#options.logger.warn({ err, scope: scope.name, item }, 'a lease was not given back'),
      )
      .finally(() => {
        scope.held.delete(item);
        this.#bell.ring();
      });
  }

  async #giveBack(scope: Scope, item: number, forOthers: boolean): Promise<void> {
    await this.#options.db.query(giveBack(this.#options.db), [this.member, scope.name, item, forOthers]);
  }

  async #yieldFor(scope: Scope, item: number, ms: number): Promise<void> {
    const held = scope.held.get(item);
    if (held === undefined || held.leaving !== undefined) return;
    scope.shy.set(item, performance.now() + ms);
    held.leaving = this.#giveBack(scope, item, true);
    try {
      await held.leaving;
      scope.held.delete(item);
    } catch (error) {
      held.leaving = undefined;
      throw error;
    }
  }

  async #leave(scope: Scope): Promise<void> {
    const held = [...scope.held.values()];
    await Promise.all(held.map(({ lease, leaving }) => leaving ?? scope.taker.lost(lease)));
    this.#scopes.delete(scope.name);
    // One connection runs everything in turn, so that this comes after a beat that is under way.
    await this.#options.db
      .query(leaveScope(this.#options.db), [this.member, scope.name])
      .catch((err: unknown) =>
        this.#options.logger.warn({ err, scope: scope.name }, 'leases were not given back'),
      );
    scope.held.clear();
  }

  async #end(): Promise<void> {
    this.#stopping = true;
    this.#bell.ring();
    await this.#running;
    await Promise.all([...this.#scopes.values()].map((scope) => (scope.left ??= this.#leave(scope))));
    // Not worth an error: without it, others wait until they see that the connection is gone.
    await this.#options.db.query(goAway(this.#options.db), [this.member]).catch(() => undefined);
  }
}
