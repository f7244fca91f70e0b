/** A view is built anew in place under those who read it: whole rows or 503, never what was loaded so far. */
import { aggregate, defineApp, projection, query } from 'tidemark';
import { expect, it } from 'vitest';
import { z } from 'zod';
import { loadConfig } from '../../../src/app/config.js';
import { createRuntime, type Runtime } from '../../../src/app/runtime.js';
import { silentLogger } from '../../../src/platform/logger.js';
import { Database } from '../../../src/platform/postgres/database.js';
import { rebuildProjection } from '../../../src/projections/rebuild/rebuild.js';
import { subscribeTo } from '../../../src/testing/subscription.js';
import { freshDatabase } from '../../support/postgres.js';

const Item = aggregate('item', {
  state: z.object({}),
  initial: {},
  events: { Added: z.object({ shelf: z.string() }) },
  commands: { add: z.object({ shelf: z.string() }) },
})
  .evolve({ Added: (state) => state })
  .decide({ add: (_state, input, { emit }) => emit('Added', input) });

const Items = projection('items', {
  version: 1,
  row: z.object({ id: z.string(), shelf: z.string() }),
  key: 'id',
  channels: ['shelf'],
}).on(Item, { fold: { Added: (_row, { data }) => ({ shelf: data.shelf }) } });

const count = query('count', {
  input: z.object({}),
  output: z.object({ count: z.int() }),
  reads: [Items],
}).handle(async ({ db }) => {
  const counted = db.selectFrom('items').select(({ fn }) => fn.countAll<number>().as('count'));
  // Two statements of one snapshot, with a turn of the loop between them.
  const first = await counted.executeTakeFirstOrThrow();
  const second = await counted.executeTakeFirstOrThrow();
  return { count: first.count === second.count ? first.count : -1 };
});

const app = defineApp({
  auth: 'none',
  name: 'stock',
  aggregates: [Item],
  projections: [Items],
  queries: [count],
  shards: 4,
});
const ITEMS = 120;
const REBUILDS = 2;
const PATIENCE = 60_000;

/** Reads as long as it is told to. @param seen what it got, by kind */
async function readAll(
  runtime: Runtime,
  path: string,
  sizeOf: (body: never) => number,
  seen: Set<string>,
  going: () => boolean,
) {
  while (going()) {
    const answer = await fetch(runtime.urls.http + path);
    const body = (await answer.json()) as never;
    const kind = answer.status === 200 ? `${sizeOf(body)} rows` : (body as { code: string }).code;
    seen.add(kind);
  }
}

it('answers with all rows, or that it is being built', async () => {
  const postgres = await freshDatabase();
  const env = { DATABASE_URL: postgres.url, PORT: '0', REALTIME_PORT: '0' };
  const start = async (roles: string): Promise<Runtime> => {
    const config = loadConfig({ ...env, TIDEMARK_ROLES: roles });
    const runtime = createRuntime(app, config, { logger: silentLogger, rebuildFrom: 0 });
    await runtime.start();
    return runtime;
  };
  const db = new Database({
    connectionString: postgres.url,
    schema: 'tidemark',
    role: 'test',
    logger: silentLogger,
  });
  const runtimes: Runtime[] = [];
  try {
    const writer = await start('api,projector');
    // It hears of a rebuild up to a second later.
    const reader = await start('api,gateway');
    runtimes.push(writer, reader);
    const add = (n: number) =>
      fetch(`${writer.urls.http}/commands/item/i-${n}/add`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ shelf: `s-${n % 3}` }),
      });
    await Promise.all(Array.from({ length: ITEMS }, (_, n) => add(n)));
    const subscribed = () => subscribeTo(reader.urls.realtime ?? '', 'items', {});
    let live = await subscribed();
    await live.until((rows) => rows.size === ITEMS, PATIENCE);

    let going = true;
    const isGoing = () => going;
    const kinds = [new Set<string>(), new Set<string>(), new Set<string>()] as const;
    const size = ({ items }: { items: [] }) => items.length;
    const readers = [
      readAll(reader, '/views/items?limit=1000', size, kinds[0], isGoing),
      readAll(reader, '/views/items?limit=1000&shelf=s-1', (body) => size(body) * 3, kinds[1], isGoing),
      readAll(reader, '/queries/count', ({ count: n }: { count: number }) => n, kinds[2], isGoing),
    ];
    // As often as it takes for each of them to have come in the middle of one.
    const allMet = () => kinds.every((seen) => seen.has('projection_building'));
    for (let round = 0; round < REBUILDS || (!allMet() && round < 50); round++) {
      await rebuildProjection(db, Items);
      await expect
        .poll(async () => (await fetch(`${reader.urls.http}/views/items?limit=1`)).status, {
          timeout: 60_000,
        })
        .toBe(200);
    }
    going = false;
    await Promise.all(readers);
    for (const seen of kinds) expect([...seen].toSorted()).toEqual([`${ITEMS} rows`, 'projection_building']);
    // Who is live has all rows all the while, and those of the last build in the end; or was told to subscribe again, where
    // a build took so long that it was heard of.
    const last = await add(ITEMS);
    expect(last.status).toBe(200);
    const hasAll = () => live.until((rows) => rows.size === ITEMS + 1, PATIENCE);
    await hasAll().catch(async (error: unknown) => {
      expect(String(error)).toContain('projection_building');
      live = await subscribed();
      await hasAll();
    });
    await live.close();
  } finally {
    await Promise.all(runtimes.map((runtime) => runtime.stop()));
    await db.end();
    await postgres.drop();
  }
});
