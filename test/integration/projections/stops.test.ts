/** Shards that stand still: who tries them, how often, and how they go on. Versions that an operator stopped. */
import { aggregate, defineApp, projection } from 'tidemark';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { readCheckpoints } from '../../../src/projections/checkpoints.js';
import { move } from '../../../src/projections/states.js';
import { recordStop } from '../../../src/projections/stops/store.js';
import { resumeProjection } from '../../../src/projections/versions/pausing.js';
import { SHARDS } from '../../support/bank.js';
import { freshDatabase, type FreshDatabase } from '../../support/postgres.js';
import {
  append,
  startProjecting,
  type ProjectingOptions,
  type ProjectingProcess,
} from '../../support/projecting.js';
import { readModelFaults } from '../../support/read-model-check.js';

const Note = aggregate('note', {
  state: z.object({}),
  initial: {},
  events: { Written: z.object({ text: z.string() }) },
  commands: {},
})
  .evolve({ Written: (state) => state })
  .decide({});

/** A projection whose fold throws on some texts; counts how often it is tried with them. */
function fragile(bad: Set<string>) {
  const tries = { count: 0 };
  const Notes = projection('notes', {
    version: 1,
    row: z.object({ id: z.string(), text: z.string() }),
    key: 'id',
    parking: false,
  }).on(Note, {
    fold: {
      Written: (_row, { data }) => {
        if (bad.has(data.text)) {
          tries.count++;
          throw new Error('not this one');
        }
        return { text: data.text };
      },
    },
  });
  const app = defineApp({
    auth: 'none',
    name: 'notes',
    aggregates: [Note],
    projections: [Notes],
    shards: SHARDS,
  });
  return { app, Notes, tries };
}

let pg: FreshDatabase;
let processes: ProjectingProcess[] = [];
const start = async (app: Parameters<typeof startProjecting>[1], options: ProjectingOptions = {}) => {
  const process = await startProjecting(pg.url, app, { beatMs: 50, ...options });
  processes.push(process);
  return process;
};

beforeEach(async () => {
  pg = await freshDatabase();
  processes = [];
});
afterEach(async () => {
  await Promise.all(processes.map((process) => process.stop()));
  await pg.drop();
});

const written = (text: string) => ({ type: 'Written', data: { text } });
const stateOf = async ({ db }: ProjectingProcess) =>
  (await db.query<[string]>('SELECT state FROM tidemark.projections'))[0]?.[0];
const stops = ({ db }: ProjectingProcess) =>
  db.query('SELECT shard, kind, seq FROM tidemark.projection_stops');

/** What an operator does: the stops go with the state, or a shard that fails again in between would be forgotten. */
const resume = ({ db }: ProjectingProcess) => resumeProjection(db, { name: 'notes', version: 1 });

describe('a shard that stands still', () => {
  it('is tried once by each process, however often its lease goes from one to the other', async () => {
    const { app, tries } = fragile(new Set(['bad']));
    // Whoever lets a shard go leaves it alone for many beats of the other.
    const options = { tuning: { newerRetryMs: 150 }, notNowMs: 500 };
    const one = await start(app, options);
    await append(one.store, 'note', 'n-1', [written('good'), written('bad'), written('later')]);
    await expect.poll(() => stateOf(one)).toBe('halted');
    const two = await start(app, options);
    const terms = async () => {
      const rows = await one.db.query<[number]>(
        `SELECT sum(term)::int FROM tidemark.leases WHERE scope LIKE 'feed/%'`,
      );
      return rows[0]?.[0] ?? 0;
    };
    // Both have had it, and it went to and fro.
    await expect
      .poll(() => two.projections.projector('notes')?.state.state, { timeout: 60_000 })
      .toBe('halted');
    const before = await terms();
    await expect.poll(terms, { timeout: 60_000 }).toBeGreaterThan(before + 3);
    expect(tries.count).toBe(2);
    expect(await stops(one)).toEqual([[expect.any(Number), 'halted', 2]]);
  });

  it('goes on when an operator resumes it, and only then', async () => {
    const bad = new Set(['bad']);
    const { app, Notes } = fragile(bad);
    const one = await start(app);
    await append(one.store, 'note', 'n-1', [written('good'), written('bad'), written('later')]);
    await expect.poll(() => stateOf(one)).toBe('halted');
    await resume(one);
    // It tries, fails again, and says so again.
    await expect.poll(() => stateOf(one)).toBe('halted');
    expect(await stops(one)).toHaveLength(1);
    bad.clear();
    await resume(one);
    await one.caughtUp();
    await expect.poll(() => stateOf(one)).toBe('live');
    expect(await stops(one)).toEqual([]);
    expect(await readModelFaults(one.db, one.store, Notes, SHARDS)).toEqual([]);
  });

  it('leaves the version halted while another one stands', async () => {
    const bad = new Set(['bad', 'worse']);
    const { app } = fragile(bad);
    const one = await start(app);
    await append(one.store, 'note', 'n-1', [written('bad')]);
    await append(one.store, 'note', 'n-2', [written('worse')]);
    await append(one.store, 'note', 'n-3', [written('good')]);
    await expect.poll(async () => (await stops(one)).length).toBe(2);
    await one.stop();
    bad.delete('bad');
    const two = await start(app);
    await expect.poll(async () => (await stops(two)).length).toBe(1);
    expect(await stateOf(two)).toBe('halted');
    await two.stop();
    bad.clear();
    const three = await start(app);
    await three.caughtUp();
    await expect.poll(() => stateOf(three)).toBe('live');
  });
});

describe('a version that an operator paused', () => {
  it('gets nothing more from the moment on in which its checkpoints were locked, and all of it after', async () => {
    const { app, Notes } = fragile(new Set());
    const one = await start(app);
    const two = await start(app);
    const until = { stop: false };
    const writing = (async () => {
      for (let n = 0; !until.stop; n++) await append(one.store, 'note', `n-${n % 20}`, [written(`${n}`)]);
    })();
    const points = async () =>
      (await readCheckpoints(one.db, [Notes])).map(({ shard, seq }) => [shard, seq]).sort();
    await expect.poll(async () => (await points()).every(([, seq = 0]) => seq > 2)).toBe(true);
    await move(one.db, Notes, 'pause');
    await one.db.query('SELECT FROM tidemark.checkpoints FOR UPDATE');
    const paused = await points();
    // Both know it, and meanwhile more was written.
    await expect
      .poll(() => [one, two].map(({ registry }) => registry.facts('notes')?.state))
      .toEqual(['paused', 'paused']);
    const heads = async () =>
      (await one.db.query<[number]>('SELECT count(*) FROM tidemark.events'))[0]?.[0] ?? 0;
    const sofar = await heads();
    await expect.poll(heads).toBeGreaterThan(sofar + 50);
    expect(await points()).toEqual(paused);
    await move(one.db, Notes, 'follow');
    until.stop = true;
    await writing;
    await one.caughtUp();
    expect(await readModelFaults(one.db, one.store, Notes, SHARDS)).toEqual([]);
  });
});

describe('a stop that comes late', () => {
  it.each(['rebuild', 'pause', 'retire'] as const)(
    'after %s says nothing of what is there then',
    async (what) => {
      const { app } = fragile(new Set());
      const { db } = await start(app, { idle: true });
      const version = { name: 'notes', version: 1 };
      const state = await move(db, version, what);
      const late = { source: 'note', shard: 0, kind: 'halted', reason: 'of before', seq: 3 } as const;
      await recordStop(db, version, late);
      expect(await db.query('SELECT state FROM tidemark.projections')).toEqual([[state]]);
      expect(await db.query('SELECT shard FROM tidemark.projection_stops')).toEqual([]);
    },
  );
});
