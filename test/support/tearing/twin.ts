/**
 * Projectors that were all given the same leases by force, so that nothing but what the writes prove keeps them apart. Each
 * holds its writes back at random, until another one has written or a while of turns has gone by.
 *
 * Rows that are made of parts need their one writer: which rows name a part is looked up before the locks, so that
 * only the lease, compared in the transaction, keeps two writers apart. There the newest has it, and who had it before is not
 * told: a zombie that nothing but the term stops.
 */
import { randomUUID } from 'node:crypto';
import { PostgresFeed } from '../../../src/broker/postgres/feed.js';
import type { AnyApp } from '../../../src/domain/app.js';
import { hasParts } from '../../../src/domain/parts.js';
import type { StoredEvent } from '../../../src/domain/events.js';
import type { PostgresEventStore } from '../../../src/event-store/store.js';
import { silentLogger as logger } from '../../../src/platform/logger.js';
import { Database } from '../../../src/platform/postgres/database.js';
import type { Lease, Leases, LeaseTaker, Participation } from '../../../src/platform/postgres/leases.js';
import { HeadProbe } from '../../../src/platform/head-probe.js';
import { Wakeups } from '../../../src/platform/wakeups.js';
import { Projections } from '../../../src/projections/projections.js';

const HOLDER = 'everybody';
const scopeOf = ({ name, version }: { readonly name: string; readonly version: number }): string =>
  `projector/${name}.v${version}`;
/** Turns of the event loop that a write is held back at the most. */
const TURNS = 400;

/** Gives every lease to whoever asks, at once, and for as long as they want; in Postgres it is one holder's. */
class ForcedLeases implements Pick<Leases, 'join'> {
  readonly #ready: Promise<unknown>;
  readonly #db: Database;
  readonly #twins: Twins;
  /** Scopes that have one holder. */
  readonly #single: ReadonlySet<string>;

  constructor(db: Database, app: AnyApp, twins: Twins) {
    this.#db = db;
    this.#twins = twins;
    this.#single = new Set(app.views.filter(hasParts).map(scopeOf));
    const scopes = app.projections.map(scopeOf);
    this.#ready = db.query(
      `INSERT INTO ${db.table('leases')} (scope, item, holder, term) SELECT s, 0, $2, 1 FROM unnest($1::text[]) s ON CONFLICT DO NOTHING`,
      [scopes, HOLDER],
    );
  }

  join(scope: string, items: number, taker: LeaseTaker): Participation {
    if (this.#single.has(scope)) return this.#stand(scope, taker);
    const held = new Set<number>();
    let left = false;
    const give = (item: number): void => {
      if (left || held.has(item)) return;
      held.add(item);
      taker.gained({ scope, item, holder: HOLDER, term: 1 });
    };
    void this.#ready.then(() => Array.from({ length: items }, (_, item) => give(item)));
    return {
      yieldFor: async (item, ms) => {
        held.delete(item);
        setTimeout(() => give(item), Math.min(ms, 20));
      },
      leave: async () => {
        left = true;
        await Promise.all([...held].map((item) => taker.lost({ scope, item, holder: HOLDER, term: 1 })));
        held.clear();
      },
    };
  }

  #stand(scope: string, taker: LeaseTaker): Participation {
    const candidate = new Candidate(scope, taker);
    const standing = this.#ready.then(() => this.#twins.elect(this.#db, scope, candidate));
    let leaving: Promise<void> | undefined;
    return {
      yieldFor: async () => undefined,
      leave: () => (leaving ??= standing.then(() => this.#twins.resign(this.#db, scope, candidate))),
    };
  }
}

/** Who stands for a lease that has one holder. */
class Candidate {
  readonly holder = randomUUID();
  readonly #scope: string;
  readonly #taker: LeaseTaker;
  #term: number | undefined;

  constructor(scope: string, taker: LeaseTaker) {
    this.#scope = scope;
    this.#taker = taker;
  }

  #lease(term: number): Lease {
    return { scope: this.#scope, item: 0, holder: this.holder, term };
  }

  async gain(db: Database): Promise<void> {
    const [row] = await db.query<[number]>(
      `UPDATE ${db.table('leases')} SET holder = $2, term = term + 1 WHERE scope = $1 RETURNING term`,
      [this.#scope, this.holder],
    );
    if (!row) throw new Error(`there is no lease ${this.#scope}`);
    await this.lose();
    this.#term = row[0];
    this.#taker.gained(this.#lease(row[0]));
  }

  async lose(): Promise<void> {
    if (this.#term !== undefined) await this.#taker.lost(this.#lease(this.#term));
    this.#term = undefined;
  }
}

/** What all twins know of each other. */
export class Twins {
  readonly conflicts = new Map<string, number>();
  /** Batches that were written. */
  writes = 0;
  readonly #held = new Set<() => void>();
  /** By scope, the newest last: it has the lease. */
  readonly #candidates = new Map<string, Candidate[]>();

  async elect(db: Database, scope: string, candidate: Candidate): Promise<void> {
    this.#candidates.set(scope, [...(this.#candidates.get(scope) ?? []), candidate]);
    await candidate.gain(db);
  }

  async resign(db: Database, scope: string, candidate: Candidate): Promise<void> {
    const before = this.#candidates.get(scope) ?? [];
    const left = before.filter((one) => one !== candidate);
    this.#candidates.set(scope, left);
    await candidate.lose();
    if (before.at(-1) === candidate) await left.at(-1)?.gain(db);
  }

  wrote(): void {
    this.writes++;
    for (const release of this.#held) release();
    this.#held.clear();
  }

  conflict(kind: string): void {
    this.conflicts.set(kind, (this.conflicts.get(kind) ?? 0) + 1);
  }

  /** Until somebody has written, or a while of turns. */
  async hold(turns: number): Promise<void> {
    let free = false;
    this.#held.add(() => (free = true));
    for (let turn = 0; turn < turns && !free; turn++) await new Promise(setImmediate);
  }
}

class HesitantDatabase extends Database {
  /** Resolves when the write may go. */
  hesitate: () => Promise<void> = async () => undefined;

  override async query<R extends readonly unknown[]>(
    text: string,
    values: readonly unknown[] = [],
    name?: string,
  ): Promise<R[]> {
    if (name?.startsWith('_apply')) await this.hesitate();
    return super.query<R>(text, values, name);
  }
}

export interface Twin {
  stop(): Promise<void>;
}

export async function startTwin(
  url: string,
  app: AnyApp,
  store: PostgresEventStore,
  twins: Twins,
  below: (below: number) => number,
): Promise<Twin> {
  const db = new HesitantDatabase({
    connectionString: url,
    schema: 'tidemark',
    role: 'twin',
    logger,
    max: 6,
  });
  db.hesitate = async () => {
    if (below(3) > 0) await twins.hold(below(TURNS));
  };
  const wakeups = new Wakeups();
  const events = app.aggregates.map(({ name }) => name);
  const probe = new HeadProbe({ db, wakeups, logger, intervalMs: 50, logs: { events, changes: [] } });
  const leases = new ForcedLeases(db, app, twins);
  // Each is at other shards than the others, so that they change the same rows for different events.
  const read: typeof store.readShard = async (...args) => {
    if (below(4) === 0) await twins.hold(below(TURNS));
    return store.readShard(...args);
  };
  const feed = new PostgresFeed<StoredEvent>({ read, wakeups, leases, logger, notNowMs: 20 });
  const observer = {
    wrote: () => twins.wrote(),
    conflict: ({ kind }: { kind: string }) => twins.conflict(kind),
    halted: ({ projection }: { projection: string }) => twins.conflict(`halted ${projection}`),
  };
  const tuning = { maxBatch: 1 + below(40), lanes: 1 + below(3) };
  const projections = new Projections({
    app,
    db,
    feed,
    leases,
    announcer: wakeups,
    logger,
    observer,
    tuning,
  });
  await probe.start();
  await projections.start();
  return {
    stop: async () => {
      await projections.stop();
      await probe.stop();
      await db.end();
    },
  };
}
