/** The head probe and the wake-ups between processes, on a real Postgres. */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { HeadProbe } from '../../../src/platform/head-probe.js';
import { silentLogger as logger } from '../../../src/platform/logger.js';
import { Database } from '../../../src/platform/postgres/database.js';
import { ensureLog, type LogHead } from '../../../src/platform/postgres/logs.js';
import { migrate } from '../../../src/platform/postgres/migrate.js';
import { LISTEN_ROLE, PostgresAnnouncer } from '../../../src/platform/postgres/notify.js';
import { Wakeups } from '../../../src/platform/wakeups.js';
import { freshDatabase, type FreshDatabase } from '../../support/postgres.js';

let pg: FreshDatabase;
let db: Database;
let ends: (() => Promise<void>)[] = [];

const open = (role: string, max: number): Database => {
  const made = new Database({ connectionString: pg.url, schema: 'tidemark', role, logger, max });
  ends.unshift(() => made.end());
  return made;
};

beforeEach(async () => {
  pg = await freshDatabase();
  ends = [() => pg.drop()];
  db = open('test', 3);
  await migrate(db);
});
afterEach(async () => {
  for (const end of ends) await end();
});

const addEvent = (shard: number, seq: number): Promise<unknown> =>
  db.query(
    `INSERT INTO tidemark.events (seq, version, recorded_at, event_id, shard, schema_version, category, stream_id, type, data, tags, metadata)
     VALUES ($2, $2, now(), gen_random_uuid(), $1, 1, 'order', 's', 'T', '{}', '{}', '{}')`,
    [shard, seq],
  );

describe('the head probe', () => {
  it('hints what nobody told of, and tells its listeners of low-water marks and epochs', async () => {
    await ensureLog(db, 'order', 2);
    const wakeups = new Wakeups();
    const probe = new HeadProbe({
      db,
      wakeups,
      logger,
      intervalMs: 20,
      logs: { events: ['order'], changes: [] },
    });
    ends.unshift(() => probe.stop());
    const hints: string[] = [];
    let seen: readonly LogHead[] = [];
    wakeups.on('order', (shard, seq) => hints.push(`${shard}/${seq}`));
    const deaf = probe.onHeads(({ heads }) => (seen = heads));
    await probe.start();
    await addEvent(1, 1);
    await expect.poll(() => hints).toContain('1/1');
    await db.query(`UPDATE tidemark.shards SET low = 9 WHERE log = 'order' AND shard = 0`);
    await expect.poll(() => hints).toContain('0/9');
    const looked = () => seen.map(({ shard, head, low }) => [shard, head, low]).toSorted();
    await expect.poll(looked).toEqual([
      [0, 9, 9],
      [1, 1, 0],
    ]);
    await db.query(`UPDATE tidemark.shards SET epoch = 'new1' WHERE log = 'order' AND shard = 0`);
    await expect.poll(() => seen.find(({ shard }) => shard === 0)?.epoch).toBe('new1');
    deaf();
    const last = seen;
    await probe.probe();
    expect(seen).toBe(last);
  });

  it('goes on when the database was away', async () => {
    await ensureLog(db, 'order', 1);
    const wakeups = new Wakeups();
    const own = open('probe', 1);
    const probe = new HeadProbe({
      db: own,
      wakeups,
      logger,
      intervalMs: 20,
      logs: { events: ['order'], changes: [] },
    });
    ends.unshift(() => probe.stop());
    const hints: number[] = [];
    wakeups.on('order', (_shard, seq) => hints.push(seq));
    await probe.start();
    await db.query('ALTER TABLE tidemark.shards RENAME TO gone');
    await expect(probe.probe()).rejects.toThrow();
    await db.query('ALTER TABLE tidemark.gone RENAME TO shards');
    await addEvent(0, 1);
    await expect.poll(() => hints).toContain(1);
  });
});

describe('wake-ups between processes', () => {
  async function announcer(): Promise<{ announcer: PostgresAnnouncer; hints: string[]; wakeups: Wakeups }> {
    const wakeups = new Wakeups();
    const hints: string[] = [];
    for (const log of ['order', 'x'.repeat(120)]) {
      wakeups.on(log, (shard, seq) => hints.push(`${log.slice(0, 5)}/${shard}/${seq}`));
    }
    const made = new PostgresAnnouncer({
      db: open('hints', 1),
      listenDb: open(LISTEN_ROLE, 1),
      wakeups,
      logger,
    });
    await made.start();
    ends.unshift(() => made.stop());
    return { announcer: made, hints, wakeups };
  }
  const listening = (count: number): Promise<void> =>
    expect
      .poll(async () => {
        const rows = await db.query(
          `SELECT FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'tidemark:listen' AND query ~ '^LISTEN' AND state = 'idle'`,
        );
        return rows.length;
      })
      .toBe(count)
      .then();

  it('reach the process itself at once, and others soon, however many there are', async () => {
    const one = await announcer();
    const two = await announcer();
    await listening(2);
    one.announcer.announce('order', 3, 7);
    one.announcer.announce('order', 3, 9);
    one.announcer.announce('order', 3, 8);
    await new Promise(setImmediate);
    expect(one.hints).toEqual(['order/3/9']);
    await expect.poll(() => two.hints).toContain('order/3/9');
    expect(two.hints).toEqual(['order/3/9']);
    for (let shard = 0; shard < 256; shard++) two.announcer.announce('x'.repeat(120), shard, 5);
    await expect.poll(() => one.hints.filter((hint) => hint.startsWith('x')).length).toBe(256);
    expect(one.hints.filter((hint) => hint.startsWith('order'))).toEqual(['order/3/9']);
  });

  it('come again after the listening connection was cut, and strangers do no harm', async () => {
    const one = await announcer();
    const two = await announcer();
    await listening(2);
    // Waited for, or those that are on their way out would be taken for those that come.
    await db.query(
      `SELECT pg_terminate_backend(pid, 25000) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'tidemark:listen'`,
    );
    await listening(2);
    for (const odd of ['', 'x', '{"a":1}', '[1,[2,3,4],["order","1",2],null]']) {
      await db.query(`SELECT pg_notify('tidemark_tidemark', $1)`, [odd]);
    }
    one.announcer.announce('order', 1, 2);
    await expect.poll(() => two.hints).toContain('order/1/2');
    expect(two.hints).toEqual(['order/1/2']);
  });

  it('go at once after a quiet moment, and together where they follow closely', async () => {
    const one = await announcer();
    const two = await announcer();
    await listening(2);
    // No poll here, as it moves the faked time on.
    const heardAll = (count: number): Promise<void> =>
      new Promise((resolve) => {
        const deaf = two.wakeups.on('order', () => {
          if (two.hints.length < count) return;
          deaf();
          resolve();
        });
      });
    // Time stands still from here on: whoever waited for some would wait for ever.
    vi.useFakeTimers({ toFake: ['setTimeout', 'performance'] });
    try {
      const first = heardAll(1);
      one.announcer.announce('order', 0, 1);
      await first;
      for (let shard = 1; shard < 9; shard++) {
        one.announcer.announce('order', shard, 1);
        await new Promise(setImmediate);
      }
      expect(two.hints).toEqual(['order/0/1']);
      let heard = false;
      void heardAll(9).then(() => (heard = true));
      // Again and again: the first may not be known to be sent yet, and the time for the others begins then.
      while (!heard) {
        await vi.advanceTimersByTimeAsync(20);
        await new Promise(setImmediate);
      }
    } finally {
      vi.useRealTimers();
    }
  });

  it('are not sent where nobody else listens', async () => {
    const one = await announcer();
    await listening(1);
    const heard: string[] = [];
    const session = await db.pool.connect();
    session.on('notification', ({ payload }) => heard.push(payload ?? ''));
    await session.query('LISTEN tidemark_tidemark');
    one.announcer.announce('order', 1, 2);
    await expect.poll(() => one.hints).toEqual(['order/1/2']);
    await one.announcer.stop();
    await session.query('SELECT 1');
    session.release(true);
    expect(heard).toEqual([]);
  });
});
