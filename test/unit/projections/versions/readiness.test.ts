/** When a process may serve its version of a projection, look by look. */
import { describe, expect, it } from 'vitest';
import type { OtherVersion, Point, Sight } from '../../../../src/projections/versions/look.js';
import { Readiness } from '../../../../src/projections/versions/readiness.js';
import { randomFrom } from '../../../support/random.js';

const SOURCE = 'order';
const points = (...seqs: number[]): Point[] => seqs.map((seq, shard) => [SOURCE, shard, seq]);
const heads = (...seqs: number[]): Map<string, number> =>
  new Map(seqs.map((seq, shard) => [`${SOURCE}/${shard}`, seq]));
const other = (version: number, ready: boolean, ...seqs: number[]): OtherVersion => ({
  version,
  ready,
  points: points(...seqs),
});

function sight(
  own: readonly Point[],
  facts: Partial<Sight['facts']> = {},
  more: Partial<Omit<Sight, 'facts'>> = {},
): Sight {
  return {
    facts: {
      name: 'orders',
      version: 2,
      state: 'catching_up',
      loaded: true,
      ready: false,
      acceptParked: false,
      parkedKeys: 0,
      stops: [],
      ...facts,
    },
    epoch: 'e1',
    points: own,
    others: [],
    ...more,
  };
}

function readiness(): {
  one: Readiness;
  look: (seen: Sight | undefined, at: number, ahead?: Map<string, number>) => string | undefined;
} {
  const one = new Readiness({ name: 'orders', version: 2 });
  return {
    one,
    look(seen, at, ahead = heads()) {
      one.judge(seen, ahead, at * 1_000);
      return one.why;
    },
  };
}

describe('a version that was never served', () => {
  it('is not held against heads that are older than its rows: it may have been emptied since', () => {
    const { one } = readiness();
    one.judge(sight(points(160, 0)), heads(0, 0), 5_000, 4_200);
    expect(one.epoch).toBeUndefined();
    expect(one.why).toBeDefined();
    expect(one.wantsHeads).toBe(true);
    one.judge(sight(points(160, 0)), heads(301, 0), 5_010, 5_005);
    expect(one.wantsHeads).toBe(false);
    expect(one.why).toContain('behind its events by 141 events');
    one.judge(sight(points(301, 0)), heads(301, 0), 5_020, 5_015);
    expect([one.epoch, one.why]).toEqual(['e1', undefined]);
  });

  it('is ready at once where there are no events', () => {
    const { one, look } = readiness();
    expect(look(sight(points(0, 0)), 0, heads(0, 0))).toBeUndefined();
    expect([one.epoch, one.wasServable]).toEqual(['e1', true]);
  });

  it('waits for its events where no other version was ever served', () => {
    const { look } = readiness();
    const others = [other(1, false, 0, 0)];
    expect(look(sight(points(3, 0), {}, { others }), 0, heads(5, 1))).toBe(
      'orders v2 is behind its events by 3 events in 2 shards',
    );
    expect(look(sight(points(5, 1), {}, { others }), 1, heads(9, 1))).toBeUndefined();
  });

  it('waits for the version that is served, and not for events that this one has not either', () => {
    const { look } = readiness();
    const others = [other(1, true, 40, 1_234)];
    expect(look(sight(points(40, 0), {}, { others }), 0, heads(90, 2_000))).toBe(
      'orders v2 is behind v1 by 1,234 events in 1 shard',
    );
    expect(look(sight(points(40, 1_234), {}, { others }), 1, heads(90, 2_000))).toBeUndefined();
  });

  it('waits for the events of a log that the version before does not follow', () => {
    const { look } = readiness();
    const own = (seq: number): Point[] => [...points(7), ['customer', 0, seq]];
    const ahead = new Map([...heads(9), ['customer/0', 3]]);
    const others = [other(1, true, 7)];
    expect(look(sight(own(0), {}, { others }), 0, ahead)).toBe(
      'orders v2 is behind v1 by 3 events in 1 shard',
    );
    expect(look(sight(own(3), {}, { others }), 1, ahead)).toBeUndefined();
  });

  it('reaches under a load that never ends what was ahead of it a moment ago', () => {
    const { look } = readiness();
    const at = (seconds: number, lag: number): Sight =>
      sight(points(100 * seconds - lag), {}, { others: [other(1, true, 100 * seconds)] });
    expect(look(at(10, 500), 10)).toMatch('behind v1 by 500 events');
    for (let second = 11; second < 15; second++) expect(look(at(second, 500), second)).toBeDefined();
    // Two and a half seconds behind.
    expect(look(at(15, 250), 15)).toBeUndefined();
  });

  it('reaches it, too, where looks take longer than a moment', () => {
    const { look } = readiness();
    expect(look(sight(points(90), {}, { others: [other(1, true, 100)] }), 0)).toBeDefined();
    expect(look(sight(points(190), {}, { others: [other(1, true, 200)] }), 60)).toBeUndefined();
  });

  it('gets there as long as it is the faster one', () => {
    const seed = Number(process.env['SEED'] ?? Date.now() % 1_000_000);
    const random = randomFrom(seed);
    const { look } = readiness();
    const shards = 8;
    const served = Array.from({ length: shards }, () => 10_000);
    const own = Array.from({ length: shards }, () => 0);
    let looks = 0;
    for (; looks < 400; looks++) {
      for (let shard = 0; shard < shards; shard++) {
        served[shard] = (served[shard] ?? 0) + random(100);
        own[shard] = Math.min((served[shard] ?? 0) - random(60), (own[shard] ?? 0) + 150);
      }
      if (look(sight(points(...own), {}, { others: [other(1, true, ...served)] }), looks) === undefined)
        break;
    }
    expect(looks, `SEED=${seed}`).toBeGreaterThan(10_000 / 150);
    expect(looks, `SEED=${seed}`).toBeLessThan(400);
  });

  it('waits until somebody accepts what is parked', () => {
    const { look } = readiness();
    expect(look(sight(points(1), { parkedKeys: 2 }), 0, heads(1))).toBe(
      'orders v2: 2 keys parked: see `tidemark parked list`; replay, skip or accept them',
    );
    expect(look(sight(points(1), { parkedKeys: 2, acceptParked: true }), 1, heads(1))).toBeUndefined();
  });

  it('is never ready while a shard stands still, and says why', () => {
    const { look } = readiness();
    const stops = [{ source: SOURCE, shard: 1, kind: 'halted', reason: 'order.Bad: boom', seq: 4 } as const];
    const seen = sight(points(9, 3), { state: 'halted', stops }, { others: [other(1, true, 9, 7)] });
    for (let second = 0; second < 10; second++)
      expect(look(seen, second)).toBe(
        'orders v2 is behind v1 by 4 events in 1 shard; 1 of its shards stand still: order.Bad: boom',
      );
  });

  it('is told how far its build is', () => {
    const { look } = readiness();
    const progress = {
      startedAt: '',
      phase: 'loading',
      events: 12_000,
      total: 50_000,
      perSecond: 2_000,
    } as const;
    expect(look(sight(points(0), { state: 'building', loaded: false, progress }), 0)).toBe(
      'orders v2 is being built: 12,000 of 50,000 events, 2,000/s, about 19 s left',
    );
    expect(look(sight(points(0), { state: 'paused', loaded: false, progress }), 1)).toBe(
      'orders v2 is not built yet, and paused',
    );
    expect(look(sight(points(0), { state: 'halted', loaded: false, reason: 'boom' }), 2)).toBe(
      'orders v2 is not built yet, and halted: boom',
    );
  });
});

describe('a version that was served before', () => {
  it('waits for nobody who is not further, as after a restart', () => {
    const { look } = readiness();
    expect(
      look(
        sight(points(5), { ready: true }, { others: [other(1, true, 5), other(3, false, 2)] }),
        0,
        heads(9),
      ),
    ).toBeUndefined();
  });

  it('waits for a newer version that is further, as after a rollback', () => {
    const { look } = readiness();
    expect(look(sight(points(5), { ready: true }, { others: [other(3, true, 8)] }), 0)).toBe(
      'orders v2 is behind v3 by 3 events in 1 shard',
    );
  });

  it('is not held up by shards that stand still, nor by parked keys: its processes serve on', () => {
    const { look } = readiness();
    const stops = [{ source: SOURCE, shard: 1, kind: 'needs_newer_code', reason: 'new', seq: 4 } as const];
    const seen = sight(
      points(9, 3),
      { ready: true, stops, parkedKeys: 3 },
      { others: [other(3, true, 9, 7)] },
    );
    expect(look(seen, 0)).toBeUndefined();
  });

  it('once ready stays so however far behind it falls, until it is built anew or pruned', () => {
    const { one, look } = readiness();
    expect(look(sight(points(5), { ready: true }), 0)).toBeUndefined();
    expect(look(sight(points(5), { ready: true }, { others: [other(3, true, 9_000)] }), 9)).toBeUndefined();
    expect(look(sight(points(5), { state: 'building', loaded: false }), 10)).toBe('orders v2 is being built');
    expect([one.epoch, one.wasServable]).toEqual([undefined, true]);
    // Loaded, of another epoch, and not as far as its events yet.
    expect(look(sight(points(5), {}, { epoch: 'e2' }), 11, heads(9))).toMatch('behind its events');
    expect(look(sight(points(9), {}, { epoch: 'e2' }), 12, heads(9))).toBeUndefined();
    expect(one.epoch).toBe('e2');
    expect(look(sight(points(9), { state: 'retired', loaded: false }, { epoch: 'e2' }), 13)).toBe(
      'orders v2 was pruned',
    );
    expect(look(undefined, 14)).toBe('the tables of orders v2 are not there yet');
  });

  it('counts what it reached of one epoch for nothing in the next', () => {
    const { one, look } = readiness();
    expect(look(sight(points(0)), 0, heads(4))).toBeDefined();
    expect(look(sight(points(4), {}, { epoch: 'e2' }), 1, heads(9))).toBeDefined();
    expect(one.epoch).toBeUndefined();
  });
});
