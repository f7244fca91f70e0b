/** A projection that a handler writes, for tests: payments one by one, and totals that count wrong when an event counts twice. */
import { defineApp, tables } from 'tidemark';
import { z } from 'zod';
import type { AnyTables } from '../../src/domain/tables.js';
import type { Database } from '../../src/platform/postgres/database.js';
import { Account, SHARDS } from './bank.js';

export const DEVIL = 666;

export const takings = (version = 1) =>
  tables('takings', {
    version,
    tables: {
      payments: {
        columns: z.object({
          account: z.string(),
          version: z.int(),
          cents: z.int(),
          note: z.string().optional(),
          detail: z.object({ tags: z.array(z.string()) }).nullable(),
        }),
        primaryKey: ['account', 'version'],
        indexes: ['cents', ['note', 'cents']],
      },
      takings: {
        columns: z.object({ owner: z.string(), cents: z.int(), payments: z.int() }),
        primaryKey: ['owner'],
      },
    },
    attempts: 2,
    batch: 40,
  })
    .on(Account)
    .handle(async ({ db, events }) => {
      const totals = new Map<string, { cents: number; payments: number }>();
      const paid = events.flatMap((event) => (event.type === 'Paid' ? [event] : []));
      for (const { data, tags } of paid) {
        const { cents, payments } = totals.get(tags.owner) ?? { cents: 0, payments: 0 };
        totals.set(tags.owner, { cents: cents + data.cents, payments: payments + 1 });
      }
      if (paid.length === 0) return;
      await db
        .insertInto('payments')
        .values(
          paid.map(({ streamId, version: n, data, tags }) => ({
            account: streamId,
            version: n,
            cents: data.cents,
            note: data.note ?? null,
            detail: { tags: [tags.owner] },
          })),
        )
        .execute();
      await db
        .insertInto('takings')
        .values([...totals].map(([owner, total]) => ({ owner, ...total })))
        .onConflict((conflict) =>
          conflict.column('owner').doUpdateSet((eb) => ({
            cents: eb('takings.cents', '+', eb.ref('excluded.cents')),
            payments: eb('takings.payments', '+', eb.ref('excluded.payments')),
          })),
        )
        .execute();
      // Last, so that what was written before must be rolled back.
      if (paid.some(({ data }) => data.cents === DEVIL)) throw new Error('the devil is in the handler');
    });

export const Takings = takings();

export const tillWith = (...projections: readonly AnyTables[]) =>
  defineApp({ auth: 'none', name: 'till', aggregates: [Account], projections, shards: SHARDS });

export const till = tillWith(Takings);

/** What differs between the tables and the events that the checkpoints say are in; empty when nothing does. */
export async function takingsFaults(db: Database, version = 1): Promise<string[]> {
  const table = (name: string): string => db.table(`${name}__v${version}`);
  const inside = `SELECT e.* FROM ${db.table('events')} e JOIN ${db.table('checkpoints')} c ON c.projection = 'takings'
    AND c.version = ${version} AND c.source = e.category AND c.shard = e.shard AND e.seq <= c.seq WHERE e.type = 'Paid'`;
  const rows = await db.query<[string]>(`
    WITH inside AS (${inside}),
    expected AS (SELECT stream_id AS account, version, (data ->> 'cents')::bigint AS cents FROM inside),
    totals AS (SELECT tags ->> 'owner' AS owner, sum((data ->> 'cents')::bigint)::bigint AS cents, count(*) AS payments FROM inside GROUP BY 1)
    SELECT 'payment ' || coalesce(e.account, p.account) || ' ' || coalesce(e.version, p.version) || ': ' || coalesce(e.cents::text, 'none') || ' is ' || coalesce(p.cents::text, 'none')
    FROM expected e FULL JOIN ${table('payments')} p ON p.account = e.account AND p.version = e.version WHERE e.cents IS DISTINCT FROM p.cents
    UNION ALL
    SELECT 'total of ' || coalesce(t.owner, k.owner) || ': ' || coalesce(t.cents::text, 'none') || ' is ' || coalesce(k.cents::text, 'none')
    FROM totals t FULL JOIN ${table('takings')} k ON k.owner = t.owner
    WHERE (t.cents, t.payments) IS DISTINCT FROM (k.cents, k.payments)`);
  return rows.map(([fault]) => fault);
}
