/** Events of several shards as one sequence that is the same whenever it is read: by time, then log, shard and seq. */
import type { StoredEvent } from '../../domain/events.js';
import { readShard } from '../../event-store/reads.js';
import { eventStoreStatements, type EventStoreStatements } from '../../event-store/statements.js';
import { TidemarkError } from '../../platform/errors.js';
import type { Database } from '../../platform/postgres/database.js';
import type { Position } from './snapshot.js';

/** Events that all shards together hold in memory, about. */
const HELD = 8_000;

class ShardReader {
  #page: readonly StoredEvent[] = [];
  #at = 0;
  #after = 0;
  readonly #db: Database;
  readonly #statements: EventStoreStatements;
  readonly #position: Position;
  readonly #limit: number;

  constructor(db: Database, statements: EventStoreStatements, position: Position, limit: number) {
    this.#db = db;
    this.#statements = statements;
    this.#position = position;
    this.#limit = limit;
  }

  get head(): StoredEvent | undefined {
    return this.#page[this.#at];
  }

  /** Undefined while the next one is at hand. */
  next(): Promise<void> | undefined {
    this.#at++;
    return this.#at < this.#page.length ? undefined : this.fill();
  }

  async fill(): Promise<void> {
    const { source, shard, seq } = this.#position;
    this.#page = [];
    this.#at = 0;
    if (this.#after >= seq) return;
    const limit = Math.min(this.#limit, seq - this.#after);
    const page = await readShard(this.#db, this.#statements, source, shard, this.#after, limit);
    const last = page.kind === 'entries' ? page.entries.at(-1)?.seq : undefined;
    if (page.kind !== 'entries' || last === undefined)
      throw new TidemarkError('internal_error', `log "${source}" shard ${shard} ends before seq ${seq}`);
    this.#page = page.entries.filter((event) => event.seq <= seq);
    this.#after = last;
  }
}

function before(a: StoredEvent, b: StoredEvent): boolean {
  if (a.recordedAt !== b.recordedAt) return a.recordedAt < b.recordedAt;
  if (a.category !== b.category) return a.category < b.category;
  return a.shard !== b.shard ? a.shard < b.shard : a.seq < b.seq;
}

/** All events up to some positions. */
export async function* mergedEvents(
  db: Database,
  positions: readonly Position[],
): AsyncGenerator<StoredEvent, void, undefined> {
  const statements = eventStoreStatements(db);
  const limit = Math.max(20, Math.floor(HELD / Math.max(1, positions.length)));
  const readers = positions.map((position) => new ShardReader(db, statements, position, limit));
  for (const reader of readers) await reader.fill();
  for (;;) {
    let first: { reader: ShardReader; head: StoredEvent } | undefined;
    for (const reader of readers) {
      const { head } = reader;
      if (head && (!first || before(head, first.head))) first = { reader, head };
    }
    if (!first) return;
    yield first.head;
    await first.reader.next();
  }
}
