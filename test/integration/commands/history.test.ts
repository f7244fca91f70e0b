/** What a stream was and is: snapshots, upcasting, code of two ages, time travel. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { StreamReader } from '../../../src/commands/stream-reader.js';
import { aggregate, defineApp, event } from '../../../src/index.js';
import { codeOf, startCommands, type CommandProcess } from '../../support/commands.js';
import { freshDatabase, type FreshDatabase } from '../../support/postgres.js';

let pg: FreshDatabase;

beforeAll(async () => {
  pg = await freshDatabase();
});

afterAll(() => pg?.drop());

/** Counts by a factor that only the fold knows: states of another fold differ. */
const counter = (factor: number, evolve: 'times' | 'plus' = 'times') =>
  defineApp({
    auth: 'none',
    name: 'counting',
    shards: 2,
    aggregates: [
      aggregate('counter', {
        state: z.object({ n: z.int() }),
        initial: { n: 0 },
        events: { Added: z.object({ by: z.int() }) },
        commands: { add: z.object({ times: z.int().default(1) }), show: z.object({}) },
      })
        .evolve(
          evolve === 'times'
            ? { Added: (state, { data }) => ({ n: state.n + data.by * factor }) }
            : { Added: (state, { data }) => ({ n: state.n + data.by + factor }) },
        )
        .decide({
          add: (_state, { times }, { emit }) => Array.from({ length: times }, () => emit('Added', { by: 1 })),
          show: (state, _input, { reject }) => reject(`n_is_${state.n}`),
        }),
    ],
  });

const add = (streamId: string, times: number) => ({
  aggregate: 'counter',
  streamId,
  command: 'add',
  payload: { times },
});
const show = (by: CommandProcess, streamId: string) =>
  codeOf(by.run({ aggregate: 'counter', streamId, command: 'show' }));

describe('snapshots', () => {
  it('are what a state is folded from once it left the cache', async () => {
    const by = await startCommands(pg.url, counter(1), { bus: { snapshotEvery: 10, cachedAggregates: 1 } });
    const saved = by.nextSnapshot();
    await by.run(add('long', 25));
    expect(await saved).toBe('saved');
    await by.run(add('long', 3));
    await by.run(add('other', 1));
    expect(await show(by, 'long')).toBe('n_is_28');
    expect(by.loads.at(-1)).toEqual({ from: 'store', events: 3 });
    await by.stop();
  });

  it('of other code are not used, and are written anew', async () => {
    const by = await startCommands(pg.url, counter(2, 'plus'), { bus: { snapshotEvery: 10 } });
    const saved = by.nextSnapshot();
    expect(await show(by, 'long')).toBe('n_is_84');
    expect(by.loads.at(-1)).toEqual({ from: 'store', events: 28 });
    expect(await saved).toBe('saved');
    const next = await startCommands(pg.url, counter(2, 'plus'), { bus: { snapshotEvery: 10 } });
    expect(await show(next, 'long')).toBe('n_is_84');
    expect(next.loads.at(-1)).toEqual({ from: 'store', events: 0 });
    await Promise.all([by.stop(), next.stop()]);
  });

  it('are no truth: one that the schema refuses is folded past', async () => {
    const by = await startCommands(pg.url, counter(2, 'plus'), { bus: { snapshotEvery: 10 } });
    await by.database.query(`UPDATE ${by.database.table('snapshots')} SET state = '{"n":"many"}'`);
    expect(await show(by, 'long')).toBe('n_is_84');
    await by.stop();
  });
});

/** A note whose text became a list of lines in its second version, and which can be starred in the newer code. */
const noteV1 = defineApp({
  auth: 'none',
  name: 'notes',
  aggregates: [
    aggregate('note', {
      state: z.object({ text: z.string() }),
      initial: { text: '' },
      events: { Written: z.object({ text: z.string() }) },
      commands: { write: z.object({ text: z.string() }) },
    })
      .evolve({ Written: (_state, { data }) => ({ text: data.text }) })
      .decide({ write: (_state, { text }, { emit }) => emit('Written', { text }) }),
  ],
});

const noteV2 = (
  upcast: (old: { text: string }) => { lines: string[] } = ({ text }) => ({ lines: text.split('\n') }),
) =>
  defineApp({
    auth: 'none',
    name: 'notes',
    aggregates: [
      aggregate('note', {
        state: z.object({ lines: z.array(z.string()), stars: z.int() }),
        initial: { lines: [], stars: 0 },
        events: {
          Written: event(z.object({ lines: z.array(z.string()) }), { upcasters: [upcast] }),
          Starred: z.object({}),
        },
        commands: { write: z.object({ lines: z.array(z.string()) }), star: z.object({}) },
      })
        .evolve({
          Written: (state, { data }) => ({ ...state, lines: data.lines }),
          Starred: (state) => ({ ...state, stars: state.stars + 1 }),
        })
        .decide({
          write: (_state, { lines }, { emit }) => emit('Written', { lines }),
          star: (state, _input, { emit, reject }) =>
            state.lines.length === 2 ? emit('Starred', {}) : reject('not_two_lines'),
        }),
    ],
  });

const thrower = (): never => {
  throw new RangeError('planted');
};

describe('code of two ages', () => {
  it('older events are upcast, newer ones make older code give the stream up', async () => {
    const old = await startCommands(pg.url, noteV1);
    const young = await startCommands(pg.url, noteV2());
    const write = (text: string, idempotencyKey?: string) =>
      old.run({ aggregate: 'note', streamId: 'n', command: 'write', payload: { text }, idempotencyKey });
    const first = await write('a\nb', 'k-1');
    await young.run({ aggregate: 'note', streamId: 'n', command: 'star' });
    // The old code's cache is stale; what it would have to read is newer than it is.
    await expect(write('c')).rejects.toMatchObject({ code: 'needs_newer_code', retryAfter: 5 });
    expect(await codeOf(write('c'))).toBe('needs_newer_code');
    // A repeat needs no state.
    expect(await write('a\nb', 'k-1')).toEqual(first);
    expect(await codeOf(write('c', 'k-1'))).toBe('idempotency_key_reused');
    await Promise.all([old.stop(), young.stop()]);
  });

  it('an upcaster that fails says which event, in the cause only', async () => {
    const broken = await startCommands(pg.url, noteV2(thrower));
    const star = broken.run({ aggregate: 'note', streamId: 'n', command: 'star' });
    await expect(star).rejects.toMatchObject({ code: 'event_unreadable' });
    await broken.stop();
  });
});

describe('time travel', () => {
  it('gives the state at a version and at a time, with and without snapshots', async () => {
    const app = counter(1);
    const by = await startCommands(pg.url, app, { bus: { snapshotEvery: 4 } });
    const [definition] = app.aggregates;
    for (let n = 0; n < 3; n++) await by.run(add('then', 2));
    await by.bus.stop();
    const reader = new StreamReader(by.store);
    const events = await by.store.readStream({ category: 'counter', streamId: 'then', limit: 9 });
    const state = (at: object) => reader.state(definition, 'then', at);
    expect(await state({})).toEqual({ streamId: 'then', version: 6, state: { n: 6 } });
    for (let version = 0; version <= 6; version++)
      expect(await state({ atVersion: version })).toMatchObject({ version, state: { n: version } });
    expect(await codeOf(state({ atVersion: 7 }))).toBe('version_not_found');
    for (const { recordedAt } of events) {
      const atTime = Date.parse(recordedAt);
      const version = events.filter((one) => Date.parse(one.recordedAt) <= atTime).length;
      expect(await state({ atTime })).toMatchObject({ version, state: { n: version } });
    }
    expect(await state({ atTime: 0 })).toEqual({ streamId: 'then', version: 0, state: { n: 0 } });
    for (const at of [{}, { atVersion: 0 }, { atTime: Date.now() }])
      expect(await codeOf(reader.state(definition, 'never', at))).toBe('stream_not_found');
    await by.stop();
  });

  it('pages through a long history without a hole, bounded by bytes as well', async () => {
    const app = counter(1);
    const by = await startCommands(pg.url, app);
    const [definition] = app.aggregates;
    await by.run(add('paged', 700));
    const reader = new StreamReader(by.store);
    const versions: number[] = [];
    for (let from: number | null = 1; from !== null;) {
      const page = await reader.history(definition, 'paged', from, 300);
      expect(page.items.length).toBeLessThanOrEqual(300);
      versions.push(
        ...page.items.map((item) => z.object({ version: z.int() }).parse(JSON.parse(item)).version),
      );
      from = page.next;
    }
    expect(versions).toEqual(Array.from({ length: 700 }, (_, n) => n + 1));
    const end = await reader.history(definition, 'paged', 701, 10);
    expect(end).toEqual({ items: [], next: null });
    expect(await codeOf(reader.history(definition, 'never', 5, 10))).toBe('stream_not_found');
    await by.stop();
  });

  it('ends a page early where events are large', async () => {
    const big = defineApp({
      auth: 'none',
      name: 'big',
      aggregates: [
        aggregate('blob', {
          state: z.object({}),
          initial: {},
          events: { Stored: z.object({ text: z.string() }) },
          commands: { store: z.object({ text: z.string() }) },
        })
          .evolve({ Stored: (state) => state })
          .decide({
            store: (_state, input, { emit }) => Array.from({ length: 8 }, () => emit('Stored', input)),
          }),
      ],
    });
    const by = await startCommands(pg.url, big);
    const payload = { text: 'x'.repeat(500_000) };
    for (let n = 0; n < 3; n++) await by.run({ aggregate: 'blob', streamId: 'b', command: 'store', payload });
    const page = await new StreamReader(by.store).history(big.aggregates[0], 'b', 1, 100);
    expect(page.next).toBe(page.items.length + 1);
    expect(page.items.length).toBeGreaterThan(8);
    expect(page.items.length).toBeLessThan(24);
    await by.stop();
  });
});
