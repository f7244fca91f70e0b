/** One lane of a projector on a real Postgres, fed with events by hand: no event store, no feed, no lease. */
import type { AnyApp } from '../../src/domain/app.js';
import type { StoredEvent } from '../../src/domain/events.js';
import type { AnyProjection } from '../../src/domain/projection.js';
import { silentLogger } from '../../src/platform/logger.js';
import { Database } from '../../src/platform/postgres/database.js';
import { migrate } from '../../src/platform/postgres/migrate.js';
import { readCheckpoints } from '../../src/projections/checkpoints.js';
import type { Stop } from '../../src/projections/decode.js';
import { Lane, type LaneOptions } from '../../src/projections/lane.js';
import { changeLogOf } from '../../src/projections/names.js';
import { ensureReadModel } from '../../src/projections/read-model.js';

export interface Happened {
  readonly category: string;
  readonly streamId: string;
  readonly type: string;
  readonly data: unknown;
}

/** Gives events their places: all are in shard 0 of their log, one second after the other. */
export class Recorder {
  readonly events: StoredEvent[] = [];
  readonly #seqs = new Map<string, number>();
  readonly #versions = new Map<string, number>();

  record(...happened: readonly Happened[]): StoredEvent[] {
    const recorded = happened.map(({ category, streamId, type, data }): StoredEvent => {
      const seq = (this.#seqs.get(category) ?? 0) + 1;
      const version = (this.#versions.get(`${category}/${streamId}`) ?? 0) + 1;
      this.#seqs.set(category, seq);
      this.#versions.set(`${category}/${streamId}`, version);
      return {
        eventId: `00000000-0000-7000-8000-${String(seq).padStart(12, '0')}`,
        category,
        shard: 0,
        seq,
        streamId,
        version,
        type,
        schemaVersion: 1,
        data,
        tags: {},
        metadata: { correlationId: 'c', causationId: 'c', actor: 'a' },
        recordedAt: new Date(Date.UTC(2026, 0, 1) + (this.events.length + seq) * 1_000).toISOString(),
      };
    });
    this.events.push(...recorded);
    return recorded;
  }
}

export interface FoldingLane {
  readonly db: Database;
  /** Another lane on the same tables, which knows nothing yet. */
  lane(wrote?: LaneOptions['wrote']): Lane;
  /** Folds events of one log, from where its checkpoint is. */
  fold(
    lane: Lane,
    events: readonly StoredEvent[],
    /** Postgres does not have them. */
    how?: { readonly ghosts?: boolean },
  ): Promise<Stop | undefined>;
  stop(): Promise<void>;
}

/** Puts events where a writer proves that they are. */
async function store(db: Database, events: readonly StoredEvent[]): Promise<void> {
  await db.query(
    `INSERT INTO ${db.table('events')} (category, shard, seq, event_id, stream_id, version, type, schema_version, data, tags, metadata, recorded_at)
     SELECT e.category, e.shard, e.seq, e."eventId", e."streamId", e.version, e.type, 1, '{}', '{}', '{}', now()
     FROM json_to_recordset($1) AS e(category text, shard int, seq bigint, "eventId" uuid, "streamId" text, version bigint, type text)
     ON CONFLICT DO NOTHING`,
    [JSON.stringify(events)],
  );
}

export async function foldingLane(url: string, app: AnyApp, projection: AnyProjection): Promise<FoldingLane> {
  const db = new Database({
    connectionString: url,
    schema: 'tidemark',
    role: 'test',
    logger: silentLogger,
    max: 3,
  });
  await migrate(db);
  await ensureReadModel(db, app);
  const [row] = await db.query<[string]>(`SELECT max(epoch) FROM ${db.table('shards')} WHERE log = $1`, [
    changeLogOf(projection),
  ]);
  const fence = { epoch: row?.[0] ?? '', lease: undefined };
  return {
    db,
    lane: (wrote = () => undefined) =>
      new Lane({ db, projection, shards: app.shards, maxEvents: 4_000, cacheChars: 8 * 1024 * 1024, wrote }),
    fold: async (lane, events, { ghosts = false } = {}) => {
      const source = events[0]?.category ?? '';
      if (!ghosts) await store(db, events);
      const points = await readCheckpoints(db, [projection]);
      const from = points.find((point) => point.source === source && point.shard === 0)?.seq ?? 0;
      return lane.submit({ source, shard: 0, from, entries: events.filter(({ seq }) => seq > from), fence });
    },
    stop: () => db.end(),
  };
}
