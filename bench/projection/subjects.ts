/** What is measured: Tidemark's builds and its live catch-up, and what the machine itself can read and copy. Each reads all events once. */
import { PostgresFeed } from '../../src/broker/postgres/feed.js';
import type { StoredEvent } from '../../src/domain/events.js';
import type { AnyProjection } from '../../src/domain/projection.js';
import { readShard } from '../../src/event-store/reads.js';
import { eventStoreStatements } from '../../src/event-store/statements.js';
import { silentLogger as logger } from '../../src/platform/logger.js';
import { CopySession } from '../../src/platform/postgres/copy.js';
import { Database } from '../../src/platform/postgres/database.js';
import { Leases } from '../../src/platform/postgres/leases.js';
import { Wakeups } from '../../src/platform/wakeups.js';
import { changeLogOf } from '../../src/projections/names.js';
import { Projections } from '../../src/projections/projections.js';
import { ensureReadModel } from '../../src/projections/read-model.js';
import { buildVersion } from '../../src/projections/rebuild/build.js';
import { LOADER_ROLE } from '../../src/projections/rebuild/statements.js';
import type { VersionFacts } from '../../src/projections/types.js';
import { appOf, CustomerTotals, OrderSummary, SHARDS } from './workload.js';

export interface Place {
  readonly url: string;
  /** Of the projection: each run builds one of its own. */
  readonly version: number;
  readonly events: number;
}

const open = (
  { url }: Place,
  role: string,
  more: { max?: number; statementTimeoutMs?: number } = {},
): Database => new Database({ connectionString: url, schema: 'tidemark', role, logger, ...more });

/** What is measured begins when `work` is called; the rest is preparation. */
export type Subject = (place: Place) => Promise<{ work(): Promise<void>; close(): Promise<void> }>;

const versionOf = (view: AnyProjection, version: number): AnyProjection => ({ ...view, version });

/** By COPY, in this process and thread; key and indexes included. */
const rebuild =
  (view: AnyProjection): Subject =>
  async (place) => {
    const projection = versionOf(view, place.version);
    const db = open(place, LOADER_ROLE, { max: 5, statementTimeoutMs: 0 });
    await ensureReadModel(db, appOf(projection), { rebuildFrom: 0 });
    const lease = { scope: `rebuild/${changeLogOf(projection)}`, item: 0, holder: 'bench', term: 1 };
    await db.query(`INSERT INTO tidemark.leases (scope, item, holder, term) VALUES ($1, 0, 'bench', 1)`, [
      lease.scope,
    ]);
    const { signal } = new AbortController();
    const turn = async (): Promise<void> => undefined;
    return {
      async work() {
        const outcome = await buildVersion({ projection, db, lease, signal, logger, turn });
        if (outcome.kind !== 'loaded') throw new Error(`the build ended as ${outcome.kind}`);
      },
      close: () => db.end(),
    };
  };

/** Live workers from the first event on: change log, checkpoints in each transaction. */
const catchUp =
  (view: AnyProjection): Subject =>
  async (place) => {
    const projection = versionOf(view, place.version);
    const app = appOf(projection);
    const db = open(place, 'projector', { max: 6 });
    const pulse = open(place, 'leases', { max: 1 });
    await ensureReadModel(db, app, { rebuildFrom: Number.POSITIVE_INFINITY });
    const leases = new Leases({ db: pulse, logger, beatMs: 200 });
    const wakeups = new Wakeups();
    const statements = eventStoreStatements(db);
    const feed = new PostgresFeed<StoredEvent>({
      read: (log, shard, after, limit) => readShard(db, statements, log, shard, after, limit),
      wakeups,
      leases,
      logger,
    });
    const facts: VersionFacts = {
      name: projection.name,
      version: projection.version,
      state: 'catching_up',
      loaded: true,
      ready: true,
      acceptParked: false,
      parkedKeys: 0,
      stops: [],
    };
    let done: () => void = () => undefined;
    let events = 0;
    const projections = new Projections({
      app,
      db,
      feed,
      leases,
      announcer: wakeups,
      logger,
      directives: { facts: () => facts, onChange: () => () => undefined },
      observer: {
        wrote(info) {
          events += info.events;
          if (events >= place.events) done();
        },
        conflict: () => undefined,
        halted: () => undefined,
      },
    });
    return {
      async work() {
        const all = new Promise<void>((resolve) => (done = resolve));
        await leases.start();
        await projections.start();
        await all;
      },
      async close() {
        await projections.stop();
        await leases.stop();
        await Promise.all([db.end(), pulse.end()]);
      },
    };
  };

const PAGE = 2_000;

/** Pages of rows as arrays, JSON as text, the next page asked for while one is here. Nothing is parsed, folded or written. */
const rawRead: Subject = async (place) => {
  const db = open(place, 'raw', { max: 2 });
  const text = `SELECT event_id, seq, shard, stream_id, version, type, schema_version, data, tags, metadata, recorded_at
    FROM tidemark.events WHERE category = 'order' AND shard = $1 AND seq > $2 ORDER BY seq LIMIT ${PAGE}`;
  return {
    async work() {
      let events = 0;
      for (let shard = 0; shard < SHARDS; shard++) {
        let next = db.query(text, [shard, 0]);
        // Seqs have no hole: where the next page begins is known before this one is here.
        for (let after = PAGE; ; after += PAGE) {
          const page = next;
          next = db.query(text, [shard, after]);
          const { length } = await page;
          events += length;
          if (length < PAGE) break;
        }
        await next;
      }
      if (events !== place.events) throw new Error(`read ${events} events`);
    },
    close: () => db.end(),
  };
};

/** The bytes of COPY, in the order in which builds read them. Nothing is looked at. */
const rawCopy: Subject = async (place) => {
  const db = open(place, 'raw', { max: 1, statementTimeoutMs: 0 });
  const session = await CopySession.open(db);
  await session.query(`SET work_mem = '64MB'`);
  return {
    async work() {
      let bytes = 0;
      for (let shard = 0; shard < SHARDS; shard++) {
        const text = `COPY (SELECT event_id, seq, stream_id, version, type, schema_version, data, tags, metadata, recorded_at
          FROM tidemark.events WHERE category = 'order' AND shard = ${shard} ORDER BY stream_id, version) TO STDOUT`;
        for await (const chunk of session.copyOut(text)) bytes += chunk.length;
      }
      if (bytes < place.events) throw new Error(`read ${bytes} bytes`);
    },
    async close() {
      session.close();
      await db.end();
    },
  };
};

export const SUBJECTS: Readonly<Record<string, { readonly run: Subject; readonly view?: AnyProjection }>> = {
  'rebuild by stream': { run: rebuild(OrderSummary), view: OrderSummary },
  'rebuild many streams': { run: rebuild(CustomerTotals), view: CustomerTotals },
  'catch-up by stream': { run: catchUp(OrderSummary), view: OrderSummary },
  'catch-up many streams': { run: catchUp(CustomerTotals), view: CustomerTotals },
  'raw read': { run: rawRead },
  'raw copy': { run: rawCopy },
};
