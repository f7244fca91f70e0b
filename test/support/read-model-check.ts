/** Whether a read model and its change log agree with each other and with the events. */
import type { StoredEvent } from '../../src/domain/events.js';
import { MemoryModel } from '../../src/domain/memory-model.js';
import type { AnyProjection, RowValue } from '../../src/domain/projection.js';
import type { PostgresEventStore } from '../../src/event-store/store.js';
import type { Database } from '../../src/platform/postgres/database.js';
import { shardOf } from '../../src/platform/murmur2.js';
import { readChanges } from '../../src/projections/change-log.js';
import { rowToJson } from '../../src/projections/columns.js';
import { changeLogOf } from '../../src/projections/names.js';
import { readSnapshot } from '../../src/projections/snapshot.js';
import type { ChangeEntry } from '../../src/projections/types.js';

async function allEvents(
  store: PostgresEventStore,
  category: string,
  shards: number,
): Promise<StoredEvent[]> {
  const events: StoredEvent[] = [];
  for (let shard = 0; shard < shards; shard++) {
    for (let after = 0; ;) {
      const page = await store.readShard(category, shard, after, 1_000);
      if (page.kind !== 'entries' || page.entries.length === 0) break;
      events.push(...page.entries);
      after = page.entries.at(-1)?.seq ?? after;
    }
  }
  return events;
}

function folded(projection: AnyProjection, events: readonly StoredEvent[]): Map<string, RowValue> {
  const model = new MemoryModel(projection);
  for (const stored of events) model.apply(stored);
  return model.rows();
}

/** The changes after the low-water mark: rows that were loaded have none. */
async function allChanges(
  db: Database,
  projection: AnyProjection,
  shard: number,
): Promise<{ readonly low: number; readonly changes: readonly ChangeEntry[] }> {
  const changes: ChangeEntry[] = [];
  for (let low = 0; ;) {
    const page = await readChanges(db, changeLogOf(projection), shard, low + changes.length, 1_000);
    if (page.kind === 'trimmed' && changes.length === 0) low = page.low;
    else if (page.kind === 'trimmed' || page.entries.length === 0) return { low, changes };
    else changes.push(...page.entries);
  }
}

/**
 * What is wrong, a line each; none when all is well: rows equal a fold of all events; every change log shard runs without
 * a hole or repeat; the last change of every key is its row and its revision; channels before are those of the change before.
 * A row without a change was loaded: its revision is below the log's begin.
 */
export async function readModelFaults(
  db: Database,
  store: PostgresEventStore,
  projection: AnyProjection,
  shards: number,
): Promise<string[]> {
  const faults: string[] = [];
  const events: StoredEvent[] = [];
  for (const { aggregate } of projection.sources)
    for (const event of await allEvents(store, aggregate.name, shards)) events.push(event);
  const expected = folded(projection, events);
  const { rows } = await readSnapshot(db, projection, {}, 100_000);
  for (const [key, , row] of rows) {
    const should = expected.get(key);
    const json = should && rowToJson(projection, should);
    if (json !== row) faults.push(`row ${key} is ${row}, a fold of the events gives ${json}`);
    expected.delete(key);
  }
  for (const key of expected.keys()) faults.push(`row ${key} is missing`);
  const last = new Map<string, ChangeEntry>();
  const lows: number[] = [];
  for (let shard = 0; shard < shards; shard++) {
    const { low, changes } = await allChanges(db, projection, shard);
    lows.push(low);
    for (const [index, change] of changes.entries()) {
      const { key, seq, before } = change;
      const due = low + index + 1;
      if (seq !== due) faults.push(`change log shard ${shard}: seq ${seq} where ${due} is due`);
      if (shardOf(key, shards) !== shard) faults.push(`change of ${key} in shard ${shard}`);
      const previous = last.get(key)?.row ?? null;
      const known = last.has(key) || low === 0;
      if (known && (previous === null) !== (before === null))
        faults.push(`change ${shard}/${seq}: before is ${JSON.stringify(before)}`);
      const old: Record<string, unknown> = previous === null ? {} : JSON.parse(previous);
      for (const [name, value] of Object.entries((known && before) || {})) {
        if (old[name] !== value)
          faults.push(`change ${shard}/${seq}: ${name} was ${JSON.stringify(old[name])}`);
      }
      if (known && change.row === previous) faults.push(`change ${shard}/${seq} changes nothing`);
      last.set(key, change);
    }
  }
  for (const [key, rev, row] of rows) {
    const change = last.get(key);
    const loaded = change === undefined && rev <= (lows[shardOf(key, shards)] ?? 0);
    if (!loaded && (change?.seq !== rev || change.row !== row))
      faults.push(`row ${key} is not its last change`);
    last.delete(key);
  }
  for (const [key, { row }] of last) if (row !== null) faults.push(`row ${key} is in the change log only`);
  return faults;
}
