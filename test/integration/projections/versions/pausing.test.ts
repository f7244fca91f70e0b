/** A version is paused, and goes on: nothing is written in between, in whatever process, and nothing is lost. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { TidemarkError } from '../../../../src/platform/errors.js';
import { readCheckpoints } from '../../../../src/projections/checkpoints.js';
import { move } from '../../../../src/projections/states.js';
import { pauseProjection, resumeProjection } from '../../../../src/projections/versions/pausing.js';
import { Accounts, bank, idsOf } from '../../../support/bank.js';
import { freshDatabase, type FreshDatabase } from '../../../support/postgres.js';
import { append, startProjecting, type ProjectingProcess } from '../../../support/projecting.js';

let postgres: FreshDatabase;
let one: ProjectingProcess;
let two: ProjectingProcess;

beforeEach(async () => {
  postgres = await freshDatabase();
  one = await startProjecting(postgres.url, bank);
  two = await startProjecting(postgres.url, bank);
});
afterEach(async () => {
  await Promise.all([one.stop(), two.stop()]);
  await postgres.drop();
});

const opened = { type: 'Opened', data: { owner: 'ann' } };
const paid = { type: 'Paid', data: { cents: 1 }, tags: { owner: 'ann' } };
const code = (work: Promise<unknown>): Promise<string | undefined> =>
  work.then(
    () => undefined,
    (error: TidemarkError) => error.code,
  );
const points = () => readCheckpoints(one.db, [Accounts]);
const total = async (): Promise<number> => {
  const [row] = await one.db.query<[number]>(
    'SELECT coalesce(sum(cents), 0)::int FROM tidemark.accounts__v1',
  );
  return row?.[0] ?? 0;
};

describe('a paused version', () => {
  it('is written by nobody any more once that is answered, and has it all after it goes on', async () => {
    const ids = [0, 1, 2, 3].map((shard) => idsOf(shard).next().value ?? '');
    for (const id of ids) await append(one.store, 'account', id, [opened]);
    let sent = 0;
    let writing = true;
    const load = (async () => {
      for (; writing; sent++) await append(one.store, 'account', ids[sent % 4] ?? '', [paid]);
    })();
    await expect.poll(total, { timeout: 60_000 }).toBeGreaterThan(20);
    await pauseProjection(two.db, Accounts);
    const still = await points();
    const then = sent;
    // The other projection goes on, and has what was appended since: time enough for whoever would write.
    const owners = () => one.db.query<[number]>('SELECT events::int FROM tidemark.owners__v1');
    await expect
      .poll(async () => (await owners())[0]?.[0] ?? 0, { timeout: 60_000 })
      .toBeGreaterThan(then + 50);
    expect(await points()).toEqual(still);
    expect(await code(pauseProjection(one.db, Accounts))).toBe('wrong_state');
    expect(await resumeProjection(one.db, Accounts)).toBe('catching_up');
    writing = false;
    await load;
    await one.caughtUp();
    expect(await total()).toBe(sent);
  });

  it('waits for whoever still holds a checkpoint', async () => {
    let answered = false;
    const holder = await one.db.connect();
    await holder.query('BEGIN; SET LOCAL idle_in_transaction_session_timeout = 0');
    await holder.query(
      `SELECT FROM tidemark.checkpoints WHERE projection = 'accounts' AND shard = 2 FOR UPDATE`,
    );
    const paused = pauseProjection(two.db, Accounts).then(() => (answered = true));
    await expect
      .poll(
        () =>
          one.db.query(
            `SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`,
          ),
        { timeout: 60_000 },
      )
      .toHaveLength(1);
    expect(answered).toBe(false);
    await holder.query('ROLLBACK');
    holder.release();
    await paused;
  });
});

describe('a version that stands still', () => {
  it('goes on without its stops', async () => {
    await one.db.query(
      `INSERT INTO tidemark.projection_stops (projection, version, source, shard, kind, reason, seq) VALUES ('accounts', 1, 'account', 0, 'halted', 'why', 1)`,
    );
    await move(one.db, Accounts, 'halt', 'why');
    expect(await resumeProjection(one.db, Accounts)).toBe('catching_up');
    expect(await one.db.query('SELECT FROM tidemark.projection_stops')).toEqual([]);
    expect(await code(resumeProjection(one.db, Accounts))).toBe('wrong_state');
  });

  it('goes on to be built where it was not', async () => {
    await one.db.query(
      `UPDATE tidemark.projections SET loaded = false, state = 'paused' WHERE name = 'accounts'`,
    );
    expect(await resumeProjection(one.db, Accounts)).toBe('building');
    await one.db.query(`UPDATE tidemark.projections SET state = 'retired' WHERE name = 'accounts'`);
    expect(await code(resumeProjection(one.db, Accounts))).toBe('wrong_state');
    expect(await code(pauseProjection(one.db, Accounts))).toBe('wrong_state');
    expect(await code(pauseProjection(one.db, { name: 'accounts', version: 9 }))).toBe('unknown_projection');
  });
});
