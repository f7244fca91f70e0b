/** What is measured: Tidemark's event store, Emmett's, and a batched insert that checks nothing. All append one event a call. */
import { PostgresEventStore } from '../../src/event-store/store.js';
import { silentLogger } from '../../src/platform/logger.js';
import { Database } from '../../src/platform/postgres/database.js';
import { migrate } from '../../src/platform/postgres/migrate.js';
import { Wakeups } from '../../src/platform/wakeups.js';
import { openPlainInsert } from './plain.js';
import { newEvent, requestHash, type Subject } from './workload.js';

async function openTidemark(url: string, lanes: number): Promise<Subject> {
  const database = new Database({
    connectionString: url,
    schema: 'tidemark',
    role: 'bench',
    logger: silentLogger,
    max: lanes + 2,
  });
  await migrate(database);
  const store = new PostgresEventStore(
    { database, categories: ['order'], shards: 16, announcer: new Wakeups(), logger: silentLogger },
    { lanes },
  );
  await store.start();
  return {
    name: 'tidemark',
    async append(streamId) {
      const outcome = await store.append({
        streams: [{ category: 'order', streamId, expected: 0, events: [newEvent()] }],
        idempotency: { scope: 'bench', key: streamId, requestHash: requestHash(streamId), record: true },
      });
      if (outcome.kind !== 'appended') throw new Error(`tidemark answered ${outcome.kind}`);
    },
    async close() {
      await store.stop();
      await database.end();
    },
  };
}

interface EmmettModule {
  openEmmett(url: string): Promise<Subject>;
}

/** In a folder of its own packages, which are installed for the benchmark only. */
async function openEmmett(url: string): Promise<Subject> {
  const peer: EmmettModule = await import(new URL('../peers/emmett.js', import.meta.url).href);
  return peer.openEmmett(url);
}

/** What to open for each name; each gets a database of its own. */
export const SUBJECTS: Readonly<Record<string, (url: string, lanes: number) => Promise<Subject>>> = {
  tidemark: openTidemark,
  emmett: openEmmett,
  plain: openPlainInsert,
};
