/**
 * Projectors that were all given the same leases by force, so that nothing but what the writes prove keeps them apart. Each
 * holds its writes back at random, until another one has written or a while of turns has gone by.
 */
import { PostgresFeed } from '../../../src/broker/postgres/feed.js';
import type { AnyApp } from '../../../src/domain/app.js';
import type { StoredEvent } from '../../../src/domain/events.js';
import type { PostgresEventStore } from '../../../src/event-store/store.js';
import { silentLogger as logger } from '../../../src/platform/logger.js';
import { Database } from '../../../src/platform/postgres/database.js';
import type { Leases, LeaseTaker, Participation } from '../../../src/platform/postgres/leases.js';
import { HeadProbe } from '../../../src/platform/head-probe.js';
import { Wakeups } from '../../../src/platform/wakeups.js';
import { Projections } from '../../../src/projections/projections.js';

const HOLDER = 'everybody';
/** Turns of the event loop that a write is held back at the most. */
const TURNS = 400;

/** Gives every lease to whoever asks, at once, and for as long as they want; in Postgres it is one holder's. */
class ForcedLeases implements Pick<Leases, 'join'> {
  readonly #ready: Promise<unknown>;

  constructor(db: Database, app: AnyApp) {
    const scopes = app.projections.map(({ name, version }) => `projector/${name}.v${version}`);
    this.#ready = db.query(
      `INSERT INTO ${db.table('leases')} (scope, item, holder, term) SELECT s, 0, $2, 1 FROM unnest($1::text[]) s ON CONFLICT DO NOTHING`,
      [scopes, HOLDER],
    );
  }

  join(scope: string, items: number, taker: LeaseTaker): Participation {
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
}

/** What all twins know of each other. */
export class Twins {
  readonly conflicts = new Map<string, number>();
  /** Batches that were written. */
  writes = 0;
  readonly #held = new Set<() => void>();

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
  const leases = new ForcedLeases(db, app);
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
