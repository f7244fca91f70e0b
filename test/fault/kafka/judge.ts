/**
 * What must hold after every fault: each acknowledged event is there and at the projection, once and in order; the read models
 * are a fold of the events; a subscriber saw the change log, no more and no less; the topics are whole.
 */
import type { AnyApp } from '../../../src/domain/app.js';
import type { Database } from '../../../src/platform/postgres/database.js';
import { readSnapshot } from '../../../src/projections/snapshot.js';
import type { Subscriber } from '../../e2e/support/subscriber.js';
import { isCaughtUp, openDatabase, PATIENCE_MS, readModelFindings, some, until } from '../stage/findings.js';
import type { Load } from '../stage/load.js';
import { Journal } from './app.js';
import { whatTopicsHold, type Begin, type Tools } from './topics.js';

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
