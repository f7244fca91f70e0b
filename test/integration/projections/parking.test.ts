/** Keys whose fold throws: what waits, what goes on, and what is not parked but halts. */
import { aggregate, defineApp, event, projection } from 'tidemark';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import type { AnyApp } from '../../../src/domain/app.js';
import type { AnyProjection } from '../../../src/domain/projection.js';
import { createLogger } from '../../../src/platform/logger.js';
import { replayAllParked, replayParked } from '../../../src/projections/parked/operations.js';
import { move } from '../../../src/projections/states.js';
import { idsOf, SHARDS } from '../../support/bank.js';
import { mendable } from '../../support/mendable.js';
import { centsOf, moved, opened, paid, parked, queueOf } from '../../support/parked.js';
import { freshDatabase, type FreshDatabase } from '../../support/postgres.js';
import {
  append,
  startProjecting,
  type ProjectingOptions,
  type ProjectingProcess,
} from '../../support/projecting.js';
import { readModelFaults } from '../../support/read-model-check.js';

let pg: FreshDatabase;
let processes: ProjectingProcess[] = [];
let lines: { level: string; msg: string; reason?: string; key?: string }[] = [];

async function start(app: AnyApp, options: ProjectingOptions = {}): Promise<ProjectingProcess> {
  const destination = { write: (line: string) => void lines.push(JSON.parse(line)) };
  const logger = createLogger({ level: 'info', destination });
  const process = await startProjecting(pg.url, app, { logger, beatMs: 50, ...options });
  processes.push(process);
  return process;
}

beforeEach(async () => {
  pg = await freshDatabase();
  processes = [];
  lines = [];
});
afterEach(async () => {
  await Promise.all(processes.map((process) => process.stop()));
  await pg.drop();
});

const stateOf = ({ registry }: ProjectingProcess, name: string) => registry.facts(name)?.state;
const faults = ({ db, store }: ProjectingProcess, one: AnyProjection) =>
  readModelFaults(db, store, one, SHARDS);

describe('a key whose fold throws', () => {
  it('stands still, its events wait in their order, and everything else goes on', async () => {
    const { app, Purses, Folk } = mendable(new Set([666]));
    const one = await start(app);
    const [a = '', b = ''] = idsOf(1);
    await append(one.store, 'account', a, [opened(), paid(1), paid(666), paid(2)]);
    await append(one.store, 'account', b, [opened(), paid(5)]);
    await append(one.store, 'account', a, [paid(3)]);
    await one.caughtUp();
    expect(await centsOf(one, Purses)).toEqual({ [a]: 1, [b]: 5 });
    expect(await parked(one)).toEqual([['purses', a, 3, 3]]);
    expect(await queueOf(one, a)).toEqual([3, 4, 7]);
    expect(await faults(one, Folk)).toEqual([]);
    await expect.poll(() => one.registry.facts('purses')?.parkedKeys).toBe(1);
    await expect.poll(() => stateOf(one, 'purses')).toBe('live');
    const errors = () => lines.filter(({ level }) => level === 'error');
    await expect.poll(errors).toMatchObject([{ key: a, reason: 'cannot take 666', projection: 'purses' }]);
    const [row] = await one.db.query(
      'SELECT source, shard, stream_id, type, error, attempts FROM tidemark.parked',
    );
    expect(row).toEqual(['account', 1, a, 'Paid', 'cannot take 666', 3]);
  });

  it('is told from a change log that cannot take anything: nothing is parked for that', async () => {
    const { app, Purses } = mendable(new Set());
    const one = await start(app);
    const slot = (to: number): Promise<unknown> =>
      one.db.query(`UPDATE tidemark.shards SET slot = $1 WHERE log = 'purses.v1'`, [to]);
    await slot(9);
    const [a = ''] = idsOf(1);
    await append(one.store, 'account', a, [opened(), paid(1)]);
    await expect
      .poll(() => lines.filter(({ level }) => level === 'warn').length, { timeout: 60_000 })
      .toBeGreaterThan(0);
    expect(await parked(one)).toEqual([]);
    await slot(0);
    await one.caughtUp();
    expect(await centsOf(one, Purses)).toEqual({ [a]: 1 });
  });

  it('is one of several that an event touches: the others get it', async () => {
    const bad = new Set([666]);
    const { app, Folk } = mendable(bad);
    const one = await start(app);
    await append(one.store, 'account', 'a-1', [moved(1, 'ann', 'eve'), moved(666, 'ann', 'eve', 'bob')]);
    // Order is promised within a shard: what comes behind the parked key comes once it is parked.
    await one.caughtUp();
    await append(one.store, 'account', 'a-2', [moved(10, 'eve', 'bob')]);
    await one.caughtUp();
    expect(await centsOf(one, Folk)).toEqual({ ann: 667, bob: 676, eve: 1 });
    bad.clear();
    expect(await replayParked({ db: one.db, projection: Folk }, { part: '', key: 'eve' })).toEqual({
      part: '',
      key: 'eve',
      events: 2,
      waiting: 0,
    });
    expect(await faults(one, Folk)).toEqual([]);
  });

  it('is parked when Postgres refuses its row, with all that the same event changes', async () => {
    const { app, Folk } = mendable(new Set());
    const one = await start(app, { idle: true });
    await one.db.query('ALTER TABLE tidemark.folk__v1 ADD CONSTRAINT poor CHECK (cents < 100)');
    await append(one.store, 'account', 'a-1', [paid(60, 'ann'), moved(1, 'bob'), moved(50, 'ann', 'bob')]);
    await append(one.store, 'account', 'a-1', [moved(7, 'ann', 'cid'), moved(8, 'bob')]);
    await one.projections.start();
    await one.caughtUp();
    expect(await centsOf(one, Folk)).toEqual({ ann: 60, bob: 1, cid: 7 });
    expect((await parked(one)).map(([, key, , queued]) => [key, queued])).toEqual([
      ['ann', 2],
      ['bob', 2],
    ]);
    const again = await replayParked({ db: one.db, projection: Folk }, { part: '', key: 'ann' });
    expect(again).toMatchObject({ events: 0, waiting: 2, fault: { kind: 'poison', type: 'Moved' } });
    expect(again.fault?.error).toContain('poor');
    expect(await replayParked({ db: one.db, projection: Folk }, { part: '', key: 'bob' })).toMatchObject({
      waiting: 0,
    });
    await one.db.query('ALTER TABLE tidemark.folk__v1 DROP CONSTRAINT poor');
    await replayParked({ db: one.db, projection: Folk }, { part: '', key: 'ann' });
    expect(await faults(one, Folk)).toEqual([]);
  });

  it('is its stream, where the event itself cannot be read', async () => {
    const bad = new Set(['']);
    const Note = aggregate('note', {
      state: z.object({}),
      initial: {},
      events: {
        Written: event(z.object({ text: z.string() }), {
          upcasters: [
            ({ old }: { old: string }) => {
              if (bad.has(old)) throw new Error('an old text that nobody thought of');
              return { text: old };
            },
          ],
        }),
      },
      commands: {},
    })
      .evolve({ Written: (state) => state })
      .decide({});
    const Notes = projection('notes', {
      version: 1,
      row: z.object({ id: z.string(), text: z.string() }),
      key: 'id',
    }).on(Note, { fold: { Written: (row, { data }) => ({ text: `${row?.text ?? ''}/${data.text}` }) } });
    const app = defineApp({
      auth: 'none',
      name: 'notes',
      aggregates: [Note],
      projections: [Notes],
      shards: SHARDS,
    });
    const one = await start(app);
    const old = (text: string) => ({ type: 'Written', data: { old: text } });
    await append(one.store, 'note', 'n-1', [old('a'), old(''), old('b')]);
    await append(one.store, 'note', 'n-2', [{ type: 'Written', data: { text: 'c' }, schemaVersion: 2 }]);
    await one.caughtUp();
    expect((await parked(one)).map(([, key]) => key)).toEqual(['n-1']);
    bad.clear();
    await replayParked({ db: one.db, projection: Notes }, { part: '', key: 'n-1' });
    expect(await faults(one, Notes)).toEqual([]);
  });
});

describe('what is not parked', () => {
  it('an event whose keys cannot be told halts its shard, and no other', async () => {
    const { app, Folk } = mendable(new Set());
    const one = await start(app);
    const [a = ''] = idsOf(0);
    const [b = ''] = idsOf(3);
    await append(one.store, 'account', a, [moved(1, 'ann'), moved(1, 'nobody'), moved(1, 'ann')]);
    await append(one.store, 'account', b, [moved(5, 'bob')]);
    await expect.poll(() => stateOf(one, 'folk')).toBe('halted');
    await expect.poll(() => centsOf(one, Folk)).toEqual({ ann: 1, bob: 5 });
    expect(await one.db.query('SELECT shard, seq FROM tidemark.projection_stops')).toEqual([[0, 2]]);
    expect(await parked(one)).toEqual([]);
  });

  it('an event that is newer than the code, also of a key that is parked', async () => {
    const { app } = mendable(new Set([666]));
    const one = await start(app);
    const [a = ''] = idsOf(2);
    await append(one.store, 'account', a, [opened(), paid(666), { type: 'Frozen', data: {} }, paid(1)]);
    await expect.poll(() => stateOf(one, 'purses')).toBe('needs_newer_code');
    expect(await parked(one)).toEqual([['purses', a, 2, 1]]);
  });

  it('more keys than are allowed: the next one halts its shard, loudly, and only then', async () => {
    const bad = new Set([666]);
    const { app, Purses } = mendable(bad, { maxKeys: 2 });
    const one = await start(app);
    const [a = '', b = '', c = '', d = ''] = idsOf(1);
    const [e = ''] = idsOf(2);
    for (const id of [a, b]) await append(one.store, 'account', id, [opened(), paid(666)]);
    await one.caughtUp();
    expect(stateOf(one, 'purses')).not.toBe('halted');
    await append(one.store, 'account', d, [opened(), paid(4)]);
    await append(one.store, 'account', c, [opened(), paid(666)]);
    await append(one.store, 'account', e, [opened(), paid(5)]);
    await expect.poll(() => stateOf(one, 'purses')).toBe('halted');
    await expect.poll(() => centsOf(one, Purses)).toEqual({ [a]: 0, [b]: 0, [c]: 0, [d]: 4, [e]: 5 });
    const [[reason] = ['']] = await one.db.query<[string]>('SELECT reason FROM tidemark.projection_stops');
    expect(reason).toMatch(/2 keys are parked, which is the most; the next would be: cannot take 666/);
    expect(await parked(one)).toHaveLength(2);
    bad.clear();
    for await (const outcome of replayAllParked({ db: one.db, projection: Purses }))
      expect(outcome.waiting).toBe(0);
    await one.db.query('DELETE FROM tidemark.projection_stops');
    await move(one.db, Purses, 'follow');
    await one.caughtUp();
    expect(await faults(one, Purses)).toEqual([]);
  });

  it('more events than may wait', async () => {
    const { app } = mendable(new Set([666]), { maxEvents: 3 });
    const one = await start(app);
    const [a = '', b = ''] = idsOf(1);
    await append(one.store, 'account', a, [opened(), paid(666), paid(1), paid(2), paid(3), paid(4)]);
    await append(one.store, 'account', b, [opened(), paid(5)]);
    await expect.poll(() => stateOf(one, 'purses')).toBe('halted');
    expect(await queueOf(one, a)).toEqual([2, 3, 4]);
    const [[reason, seq] = ['', 0]] = await one.db.query<[string, number]>(
      'SELECT reason, seq FROM tidemark.projection_stops',
    );
    expect(reason).toMatch(/3 events wait behind parked keys, which is the most/);
    expect(seq).toBe(5);
  });
});
