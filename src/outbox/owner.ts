/**
 * Topics carry the application's name, and cursors do not: a schema is relayed for one application only. Another one's relay
 * would take its share of the shards to topics of its own, and leave holes in both.
 */
import { TidemarkError } from '../platform/errors.js';
import type { Database } from '../platform/postgres/database.js';
import { insertOwner, selectOwner } from './statements.js';

/** @throws TidemarkError `schema_taken` */
export async function ensureOwner(db: Database, app: string): Promise<void> {
  await db.query(insertOwner(db), [app]);
  const [owner] = await db.query<[string]>(selectOwner(db));
  if (owner?.[0] === app) return;
  throw new TidemarkError(
    'schema_taken',
    `the logs of the schema ${db.schema} go to Kafka as those of the application ${owner?.[0] ?? '(none)'}, not of ${app}: expected TIDEMARK_SCHEMA (or DATABASE_URL) to name a place of its own`,
  );
}
