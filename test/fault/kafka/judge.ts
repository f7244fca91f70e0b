/**
 * What must hold after every fault: each acknowledged event is there and at the projection, once and in order; the read models
 * are a fold of the events; a subscriber saw the change log, no more and no less; the topics are whole.
 */
import type { AnyApp } from '../../../src/domain/app.js';
import { PostgresEventStore } from '../../../src/event-store/store.js';
import { silentLogger as logger } from '../../../src/platform/logger.js';
import { Database } from '../../../src/platform/postgres/database.js';
import { readSnapshot } from '../../../src/projections/snapshot.js';
import { verifyProjection } from '../../../src/projections/verify/verify.js';
import type { Subscriber } from '../../e2e/support/subscriber.js';
import { readModelFaults } from '../../support/read-model-check.js';
import { Journal, SHARDS } from './app.js';
import type { Load } from './load.js';
import { whatTopicsHold, type Begin, type Tools } from './topics.js';

/** For everything that is on its way to arrive. */
const PATIENCE_MS = 120_000;
/** Faults that are listed of each kind. */
const LISTED = 5;

export interface Expectations {
  /** Where the epoch of each log begins in its topic. */
  readonly begin: Begin;
  /** The history was cut: subscribers begin anew. */
  readonly resets: boolean;
}

export interface Verdict {
  readonly faults: readonly string[];
  readonly acknowledged: number;
  readonly lost: number;
  readonly repeated: number;
  /** Records in the topics, and how many of them are there again. */
  readonly records: number;
  readonly again: number;
}

export interface Judged {
  readonly app: AnyApp;
  readonly databaseUrl: string;
  readonly tools: Tools;
  readonly load: Load;
  readonly subscriber: Subscriber;
}

const some = (faults: readonly string[]): string[] =>
  faults.length <= LISTED
    ? [...faults]
    : [...faults.slice(0, LISTED), `… and ${faults.length - LISTED} more`];

export const openDatabase = (url: string): Database =>
  new Database({ connectionString: url, schema: 'tidemark', role: 'judge', logger, max: 4 });

async function until(holds: () => Promise<boolean>): Promise<boolean> {
  const deadline = Date.now() + PATIENCE_MS;
  while (Date.now() < deadline) {
    if (await holds()) return true;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return holds();
}

/** Whether every projection has every event that is there now. */
export async function isCaughtUp(db: Database, app: AnyApp): Promise<boolean> {
  const [row] = await db.query<[number, number]>(
    `SELECT count(*)::int, count(*) FILTER (WHERE c.seq < coalesce(
       (SELECT max(e.seq) FROM ${db.table('events')} e WHERE e.category = c.source AND e.shard = c.shard), 0))::int
     FROM ${db.table('checkpoints')} c`,
  );
  return row?.[0] === app.projections.length * SHARDS && row[1] === 0;
}

interface Count {
  readonly faults: readonly string[];
  readonly lost: number;
  readonly repeated: number;
}

/** Acknowledged events against the event store, and the journal against the event store. */
async function eventFindings(db: Database, { orders }: Load): Promise<Count> {
  const faults: string[] = [];
  const stored = new Map<string, string[]>();
  for (const [id, version, eventId] of await db.query<[string, number, string]>(
    `SELECT stream_id, version, event_id::text FROM ${db.table('events')} ORDER BY stream_id, version`,
  )) {
    const events = stored.get(id) ?? [];
    events[version - 1] = eventId;
    stored.set(id, events);
  }
  const { rows } = await readSnapshot(db, Journal, {}, 100_000);
  const noted = new Map(rows.map(([key, , row]) => [key, (JSON.parse(row) as { events: string[] }).events]));
  let lost = 0;
  let repeated = 0;
  for (const [id, acknowledged] of orders) {
    const there = stored.get(id) ?? [];
    const seen = noted.get(id) ?? [];
    for (const [index, eventId] of acknowledged.entries()) {
      if (there[index] === eventId && seen.includes(eventId)) continue;
      lost++;
      faults.push(`event ${eventId} (${id} version ${index + 1}) was acknowledged and is lost`);
    }
  }
  for (const id of new Set([...stored.keys(), ...noted.keys()])) {
    const there = stored.get(id) ?? [];
    const seen = noted.get(id) ?? [];
    repeated += seen.length - new Set(seen).size;
    if (seen.join() !== there.join())
      faults.push(`the journal of ${id} is ${seen.join(' ')}, its events are ${there.join(' ')}`);
  }
  return { faults, lost, repeated };
}

async function readModelFindings(db: Database, app: AnyApp): Promise<string[]> {
  const faults: string[] = [];
  const categories = app.aggregates.map(({ name }) => name);
  const store = new PostgresEventStore({
    database: db,
    categories,
    shards: app.shards,
    announcer: { announce: () => undefined },
    logger,
  });
  for (const projection of app.views) {
    const { listed, differences } = await verifyProjection(db, app, projection.name, { all: true });
    if (differences > 0)
      faults.push(`verify ${projection.name}: ${differences}, as ${JSON.stringify(listed.slice(0, 3))}`);
    for (const fault of await readModelFaults(db, store, projection, app.shards))
      faults.push(`${projection.name}: ${fault}`);
  }
  return faults;
}

/** What the subscriber of the journal saw against its rows and its change log. */
async function subscriberFindings(
  db: Database,
  subscriber: Subscriber,
  { resets }: Expectations,
): Promise<Count> {
  const { rows, pos } = await readSnapshot(db, Journal, {}, 100_000);
  const should = new Map(rows.map(([key, , row]) => [key, row]));
  const asShould = (): boolean =>
    subscriber.rows.size === should.size &&
    [...subscriber.rows].every(([key, row]) => JSON.stringify(row) === should.get(key));
  const seen = (): Map<number, number[]> => {
    const shards = new Map<number, number[]>();
    for (const { shard, rev } of subscriber.changes) shards.set(shard, [...(shards.get(shard) ?? []), rev]);
    return shards;
  };
  const arrived = (): boolean => pos.every(([shard, head]) => (seen().get(shard)?.at(-1) ?? 0) >= head);
  const faults: string[] = [];
  if (!(await until(async () => asShould() && (resets || arrived()))))
    faults.push(`the subscriber's ${subscriber.rows.size} rows are not the ${should.size} of the view`);
  faults.push(...subscriber.faults.map((fault) => `the subscriber: ${fault}`));
  let repeated = 0;
  let lost = 0;
  if (!resets) {
    for (const reason of subscriber.resets) faults.push(`the subscriber was reset: ${reason}`);
    for (const [shard, revs] of seen()) {
      repeated += revs.length - new Set(revs).size;
      const missing = Math.max(...revs) - new Set(revs).size;
      lost += missing;
      if (missing > 0 || revs.some((rev, index) => rev !== index + 1))
        faults.push(`the subscriber did not see 1 to ${revs.at(-1)} of shard ${shard} in order`);
    }
    const last = new Map(subscriber.changes.map(({ key, row }) => [key, row]));
    for (const [key, row] of should)
      if (JSON.stringify(last.get(key)) !== row)
        faults.push(`the subscriber's last change of ${key} is not its row`);
  } else if (subscriber.resets.length === 0) faults.push('the subscriber was not reset');
  return { faults, lost, repeated };
}

/** Waits until what is on its way has arrived, and looks at everything. The load has stopped. */
export async function judge(judged: Judged, expected: Expectations): Promise<Verdict> {
  const { app, databaseUrl, tools, load, subscriber } = judged;
  const db = openDatabase(databaseUrl);
  try {
    const caughtUp = await until(() => isCaughtUp(db, app));
    const events = await eventFindings(db, load);
    const models = await readModelFindings(db, app);
    const seen = await subscriberFindings(db, subscriber, expected);
    const topics = await whatTopicsHold(app, db, tools, { begin: expected.begin, patienceMs: PATIENCE_MS });
    return {
      faults: [
        ...load.faults,
        ...(caughtUp ? [] : [`the projections have not caught up within ${PATIENCE_MS} ms`]),
        ...[events.faults, models, seen.faults, topics.faults].flatMap(some),
      ],
      acknowledged: load.acknowledged,
      lost: events.lost + seen.lost,
      repeated: events.repeated + seen.repeated,
      records: topics.records,
      again: topics.again,
    };
  } finally {
    await db.end();
  }
}
