/**
 * The machine's own limit: the same rows and keys into tables with the same columns and indexes, in the same batches and by the
 * same binary arrays, with seqs counted in memory and nothing checked. One statement a batch.
 */
import { silentLogger } from '../../src/platform/logger.js';
import { shardOf } from '../../src/platform/murmur2.js';
import {
  boolArray,
  int4Array,
  int8Array,
  jsonArray,
  textArray,
  uuidArray,
} from '../../src/platform/postgres/arrays.js';
import { Database } from '../../src/platform/postgres/database.js';
import { migrate } from '../../src/platform/postgres/migrate.js';
import type { NewEvent } from '../../src/event-store/types.js';
import { newEvent, requestHash, type Subject } from './workload.js';

const SHARDS = 16;
const MAX_BATCH = 512;

interface Waiting {
  readonly streamId: string;
  readonly event: NewEvent;
  readonly key: string;
  readonly hash: string;
  readonly settle: () => void;
  readonly fail: (error: Error) => void;
}

const INSERT = `WITH e AS (
  INSERT INTO tidemark.events (seq, version, recorded_at, event_id, shard, schema_version, category, stream_id, type, data, tags, metadata)
  SELECT u.seq, 1, now(), u.id, u.shard, u.schema, 'order', u.stream, u.type, u.data, u.tags, u.metadata
  FROM unnest($1::int8[], $2::uuid[], $3::int4[], $4::int4[], $5::text[], $6::text[], $7::json[], $8::json[], $9::json[])
    AS u(seq, id, shard, schema, stream, type, data, tags, metadata))
INSERT INTO tidemark.idempotency_keys (hash, request_hash, seq, version, recorded_at, shard, count, category)
SELECT u.hash, u.request, u.seq, 1, now(), u.shard, 1, 'order' FROM unnest($10::uuid[], $11::uuid[], $1::int8[], $3::int4[], $12::bool[])
  AS u(hash, request, seq, shard, record) WHERE u.record`;

export async function openPlainInsert(url: string, lanes: number): Promise<Subject> {
  const database = new Database({
    connectionString: url,
    schema: 'tidemark',
    role: 'bench-plain',
    logger: silentLogger,
    max: lanes,
  });
  await migrate(database);
  const heads = new Map(
    await database.query<[number, number]>('SELECT shard, max(seq) FROM tidemark.events GROUP BY shard'),
  );
  const queues = Array.from({ length: lanes }, (): Waiting[] => []);
  const busy = queues.map(() => false);

  const send = async (batch: readonly Waiting[]): Promise<void> => {
    const shards = batch.map(({ streamId }) => shardOf(streamId, SHARDS));
    const seqs = shards.map((shard) => {
      const seq = (heads.get(shard) ?? 0) + 1;
      heads.set(shard, seq);
      return seq;
    });
    const events = batch.map(({ event }) => event);
    await database.query(
      INSERT,
      [
        int8Array(seqs),
        uuidArray(events.map(({ eventId }) => eventId)),
        int4Array(shards),
        int4Array(events.map(({ schemaVersion }) => schemaVersion)),
        textArray(batch.map(({ streamId }) => streamId)),
        textArray(events.map(({ type }) => type)),
        jsonArray(events.map(({ data }) => data)),
        jsonArray(events.map(({ tags }) => JSON.stringify(tags))),
        jsonArray(events.map(({ metadata }) => JSON.stringify(metadata))),
        uuidArray(batch.map(({ key }) => key)),
        uuidArray(batch.map(({ hash }) => hash)),
        boolArray(batch.map(() => true)),
      ],
      'plain_insert',
    );
  };

  const run = async (lane: number): Promise<void> => {
    const queue = queues[lane] ?? [];
    busy[lane] = true;
    while (queue.length > 0) {
      const batch = queue.splice(0, MAX_BATCH);
      try {
        await send(batch);
        for (const { settle } of batch) settle();
      } catch (error) {
        for (const { fail } of batch) fail(error instanceof Error ? error : new Error(String(error)));
      }
      if (batch.length > 1 || queue.length > 1) await new Promise((resolve) => setImmediate(resolve));
    }
    busy[lane] = false;
  };

  return {
    name: 'plain',
    append: (streamId) =>
      new Promise((settle, fail) => {
        const digest = requestHash(streamId);
        const lane = shardOf(streamId, SHARDS) % lanes;
        queues[lane]?.push({
          streamId,
          event: newEvent(),
          key: digest.toString('latin1', 0, 16),
          hash: digest.toString('latin1', 16, 32),
          settle,
          fail,
        });
        if (!busy[lane]) void run(lane);
      }),
    close: () => database.end(),
  };
}
