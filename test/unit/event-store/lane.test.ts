/** Lanes: one batch in flight, what may go along with it, and when it is full. */
import { describe, expect, test } from 'vitest';
import { Lane, type LaneLimits } from '../../../src/event-store/lane.js';
import { pend, type Pending } from '../../../src/event-store/pending.js';

const LIMITS: LaneLimits = { maxBatch: 4, maxBatchBytes: 10_000, maxQueue: 100, maxQueueBytes: 1_000_000 };

function pending(streamId: string, fields: { key?: string; bytes?: number } = {}): Pending {
  const data = 'x'.repeat(fields.bytes ?? 0);
  const event = {
    eventId: '01890a5d-ac96-774b-bcce-b302099a8057',
    type: 'A',
    schemaVersion: 1,
    data,
    tags: {},
    metadata: { correlationId: 'c', causationId: 'c', actor: 'a' },
  };
  const nothing = (): void => undefined;
  return pend(
    {
      streams: [{ category: 'order', streamId, expected: 'any', events: [event] }],
      ...(fields.key === undefined
        ? {}
        : { idempotency: { scope: 's', key: fields.key, requestHash: Buffer.alloc(32), record: true } }),
    },
    new Map([['order', 4]]),
    Number.MAX_SAFE_INTEGER,
    nothing,
    nothing,
  );
}

/** A lane whose batches end when they are told to. */
function laneOf(limits: Partial<LaneLimits> = {}): {
  lane: Lane;
  batches: string[][];
  end(): Promise<void>;
} {
  const batches: string[][] = [];
  let ended: () => void = () => undefined;
  let began: () => void = () => undefined;
  const lane = new Lane(
    (batch) => {
      batches.push(batch.map(({ streams }) => streams[0]?.streamId ?? ''));
      began();
      return new Promise((resolve) => (ended = resolve));
    },
    { ...LIMITS, ...limits },
  );
  return {
    lane,
    batches,
    async end() {
      const next = new Promise<void>((resolve) => (began = resolve));
      ended();
      await Promise.race([next, lane.drained()]);
    },
  };
}

describe('a lane', () => {
  test('sends a request that finds it idle at once, and what comes meanwhile together', async () => {
    const { lane, batches, end } = laneOf();
    lane.add(pending('a'));
    expect(batches).toEqual([['a']]);
    for (const id of ['b', 'c', 'd', 'e', 'f']) lane.add(pending(id));
    expect(batches).toHaveLength(1);
    await end();
    await end();
    expect(batches).toEqual([['a'], ['b', 'c', 'd', 'e'], ['f']]);
    await end();
    lane.add(pending('g'));
    expect(batches).toHaveLength(4);
  });

  test('puts no two requests on one stream or one key into a batch, and keeps their order', async () => {
    const { lane, batches, end } = laneOf();
    lane.add(pending('first'));
    lane.add(pending('a', { key: 'k' }));
    lane.add(pending('b', { key: 'k' }));
    lane.add(pending('b'));
    lane.add(pending('a'));
    lane.add(pending('c'));
    for (let n = 0; n < 4; n++) await end();
    expect(batches).toEqual([['first'], ['a', 'c'], ['b', 'a'], ['b']]);
  });

  test('bounds a batch by bytes, but sends what is larger alone', async () => {
    const { lane, batches, end } = laneOf();
    lane.add(pending('first'));
    lane.add(pending('large', { bytes: 50_000 }));
    for (const id of ['a', 'b', 'c']) lane.add(pending(id, { bytes: 4_000 }));
    for (let n = 0; n < 4; n++) await end();
    expect(batches).toEqual([['first'], ['large'], ['a', 'b'], ['c']]);
  });

  test('takes no more than its queue holds, in requests and in bytes', () => {
    const { lane } = laneOf({ maxQueue: 2, maxQueueBytes: 5_000 });
    lane.add(pending('in flight'));
    lane.add(pending('a', { bytes: 3_000 }));
    expect(() => lane.add(pending('b', { bytes: 3_000 }))).toThrow(
      expect.objectContaining({ code: 'overloaded', retryAfter: 1 }),
    );
    lane.add(pending('c'));
    expect(() => lane.add(pending('d'))).toThrow(expect.objectContaining({ code: 'overloaded' }));
    expect(lane.queued).toBe(2);
  });

  test('is drained when nothing waits and nothing is in flight', async () => {
    const { lane, batches, end } = laneOf();
    await lane.drained();
    lane.add(pending('a'));
    lane.add(pending('b'));
    let drained = false;
    const done = lane.drained().then(() => (drained = true));
    await end();
    expect(drained).toBe(false);
    await end();
    await done;
    expect(batches).toEqual([['a'], ['b']]);
  });
});
