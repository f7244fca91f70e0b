/** The waiter hub on real checkpoints: one poll for all, hints, bounds, epochs, and what ends a wait. */
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { silentLogger } from '../../../src/platform/logger.js';
import { Wakeups } from '../../../src/platform/wakeups.js';
import { Database } from '../../../src/platform/postgres/database.js';
import type { TokenPayload } from '../../../src/protocol/positions.js';
import { WaiterHub, type WaiterHubOptions } from '../../../src/queries/waiter-hub.js';
import { factsOf } from '../../support/facts.js';
import { Sample, sampleApp, Tally } from '../../support/sample-view.js';
import { sampleDatabase, type SampleDatabase } from './sample-database.js';

let sample: SampleDatabase;
let epoch = '';
const hubs: WaiterHub[] = [];
/** For what comes: a wait of 0 ms ends a second later, also where Postgres was only slow. */
const PATIENCE = 60_000;

beforeAll(async () => {
  sample = await sampleDatabase();
  epoch = await sample.epochOf('thing');
});
afterAll(async () => {
  for (const hub of hubs) hub.stop();
  await sample.end();
});

const token = (pos: readonly (readonly [number, number])[], of = epoch): TokenPayload => ({
  kind: 'token',
  logs: { thing: { epoch: of, pos } },
});

function hubWith(options: Partial<WaiterHubOptions> = {}): {
  hub: WaiterHub;
  wakeups: Wakeups;
  polls: () => number;
} {
  const wakeups = new Wakeups();
  const spy = vi.spyOn(sample.db, 'query');
  spy.mockClear();
  const hub = new WaiterHub({
    projections: sampleApp.projections,
    db: sample.db,
    wakeups,
    logger: silentLogger,
    ...options,
  });
  hubs.push(hub);
  return {
    hub,
    wakeups,
    polls: () =>
      spy.mock.calls.filter(([text]) => text.includes('checkpoints') && text.includes('LEFT JOIN')).length,
  };
}

const code = async (promise: Promise<unknown>): Promise<string> => {
  try {
    await promise;
    return 'done';
  } catch (error) {
    return error instanceof Error && 'code' in error ? String(error.code) : `not ours: ${String(error)}`;
  }
};

describe('many waiters', () => {
  it('share one poll, and all go on when the projector elsewhere has moved', async () => {
    const { hub, polls } = hubWith({ pollMs: 25 });
    const begun = performance.now();
    const many = Array.from({ length: 500 }, (_one, n) =>
      code(hub.wait([Sample], [token([[n % 4, 5]])], PATIENCE)),
    );
    expect(hub.waiting).toBe(500);
    for (const shard of [0, 1, 2, 3]) await sample.checkpoint(shard, 5);
    expect(new Set(await Promise.all(many))).toEqual(new Set(['done']));
    // The first, one more for those who came while it ran, and one each 25 ms.
    expect(polls()).toBeLessThanOrEqual(3 + (performance.now() - begun) / 20);
    expect(hub.waiting).toBe(0);
  });

  it('need no statement at all while hints keep telling', async () => {
    const { hub, wakeups, polls } = hubWith({ pollMs: 600_000, freshMs: 600_000 });
    await hub.wait(
      [Sample],
      [
        token([
          [0, 1],
          [1, 1],
          [2, 1],
          [3, 1],
        ]),
      ],
      PATIENCE,
    );
    expect(polls()).toBe(1);
    const many = Array.from({ length: 100 }, (_one, n) =>
      hub.wait([Sample], [token([[n % 4, 100 + n]])], PATIENCE),
    );
    for (const shard of [0, 1, 2, 3]) wakeups.hint('progress/sample.v1/thing', shard, 199);
    await Promise.all(many);
    await hub.wait([Sample], [token([[2, 150]])], 0);
    expect(polls()).toBe(1);
  });

  it('are bounded: one more is told to come again', async () => {
    const { hub } = hubWith({ maxWaiters: 2 });
    const first = [1, 2].map(() => code(hub.wait([Sample], [token([[0, 1_000]])], 20_000)));
    expect(await code(hub.wait([Sample], [token([[0, 1_000]])], 20_000))).toBe('overloaded');
    hub.stop();
    expect(await Promise.all(first)).toEqual(['not_ready', 'not_ready']);
    expect(await code(hub.wait([Sample], [token([[0, 1_000]])], 20_000))).toBe('not_ready');
  });
});

describe('a wait', () => {
  it('is over at once where there is nothing to wait for', async () => {
    const { hub, polls } = hubWith();
    await hub.wait([Sample], [], 0);
    await hub.wait([Sample], [{ kind: 'token', logs: { other: { epoch: 'x', pos: [[0, 5]] } } }], 0);
    expect(polls()).toBe(0);
  });

  it('is for all projections and all tokens', async () => {
    const { hub } = hubWith({ pollMs: 10 });
    await sample.checkpoint(1, 50);
    expect(await code(hub.wait([Sample], [token([[1, 50]])], PATIENCE))).toBe('done');
    expect(await code(hub.wait([Sample, Tally], [token([[1, 50]])], 0))).toBe('projection_behind');
    expect(await code(hub.wait([Sample], [token([[1, 50]]), token([[1, 51]])], 0))).toBe('projection_behind');
    const both = hub.wait([Sample, Tally], [token([[1, 50]])], PATIENCE);
    await sample.db.query(
      `UPDATE ${sample.db.table('checkpoints')} SET seq = 50 WHERE projection = 'tally' AND shard = 1`,
    );
    await both;
  });

  it('does not believe what it heard long ago: a restore may have set it back', async () => {
    const { hub, wakeups, polls } = hubWith({ freshMs: 0 });
    await sample.checkpoint(2, 10);
    wakeups.hint('progress/sample.v1/thing', 2, 500);
    await new Promise(setImmediate);
    expect(await code(hub.wait([Sample], [token([[2, 400]])], 0))).toBe('projection_behind');
    expect(await code(hub.wait([Sample], [token([[2, 10]])], PATIENCE))).toBe('done');
    expect(polls()).toBe(2);
  });

  it('is told of another epoch by the first poll, whatever was known before', async () => {
    const { hub } = hubWith({ pollMs: 10, freshMs: 0 });
    await sample.checkpoint(0, 60);
    expect(await code(hub.wait([Sample], [token([[0, 60]])], PATIENCE))).toBe('done');
    expect(await code(hub.wait([Sample], [token([[0, 60]], 'old')], PATIENCE))).toBe('position_expired');
  });

  it('ends with its signal', async () => {
    const { hub } = hubWith();
    const leaving = new AbortController();
    const waiting = code(hub.wait([Sample], [token([[0, 5_000]])], PATIENCE, leaving.signal));
    leaving.abort();
    expect(await waiting).toBe('request_aborted');
    expect(await code(hub.wait([Sample], [token([[0, 5_000]])], PATIENCE, leaving.signal))).toBe(
      'request_aborted',
    );
    expect(hub.waiting).toBe(0);
  });

  it('learns while it waits that its projection has halted', async () => {
    let facts = factsOf(Sample, {});
    let changed = (): void => undefined;
    const onChange = (listener: () => void) => ((changed = listener), () => undefined);
    // Not by its polls: it is told.
    const { hub } = hubWith({ pollMs: 600_000, directives: { facts: () => facts, onChange } });
    const waiting = code(hub.wait([Sample], [token([[0, 5_000]])], PATIENCE));
    const elsewhere = code(hub.wait([Sample], [token([[1, 5_000]])], PATIENCE));
    facts = factsOf(Sample, {
      stops: [{ source: 'thing', shard: 0, kind: 'halted', reason: 'why', seq: 4_000 }],
    });
    changed();
    expect(await waiting).toBe('projection_halted');
    facts = factsOf(Sample, { state: 'paused' });
    changed();
    expect(await elsewhere).toBe('projection_paused');
  });

  it('ends on time also where Postgres does not answer', async () => {
    const nowhere = new Database({
      connectionString: sample.url.replace(/:\d+\//, ':1/'),
      schema: 'tidemark',
      role: 'test',
      logger: silentLogger,
    });
    const { hub } = hubWith({ db: nowhere, pollMs: 10 });
    expect(await code(hub.wait([Sample], [token([[0, 1]])], 50))).toBe('projection_behind');
    await nowhere.end();
  });
});
