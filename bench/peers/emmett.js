/** Emmett's Postgres event store as a subject of `bench/append`. It has no idempotency keys, so it writes less. */
import { getPostgreSQLEventStore } from '@event-driven-io/emmett-postgresql';
import pg from 'pg';
import { newEvent } from '../append/workload.ts';

export async function openEmmett(url) {
  // The size of the pool that Emmett makes itself; one of our own, so that it surely ends.
  const pool = new pg.Pool({ connectionString: url, max: 10 });
  const store = getPostgreSQLEventStore(url, { connectionOptions: { pool } });
  await store.schema.migrate();
  const data = JSON.parse(newEvent().data);
  return {
    name: 'emmett',
    async append(streamId) {
      const { type, metadata } = newEvent();
      await store.appendToStream(`order-${streamId}`, [{ type, data, metadata }], {
        expectedStreamVersion: 'STREAM_DOES_NOT_EXIST',
      });
    },
    async close() {
      await store.close();
      await pool.end();
    },
  };
}
