/** Thousands at once: what the database and the application are asked grows with channels and tokens, never with sockets. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ServerFrame } from '../../../src/protocol/frames.js';
import { SHARDS } from '../../support/realtime/board.js';
import { Crowd, type CrowdSocket } from '../../support/realtime/crowd.js';
import { LiveView } from '../../support/realtime/live-view.js';
import { Passes } from '../../support/realtime/passes.js';
import { RealtimeStack } from '../../support/realtime/stack.js';

const SOCKETS = 10_000;
/** Where the number matters less than what happens meanwhile. */
const SOME = 2_000;
const LISTS = 20;
const list = (n: number): string => `list-${n % LISTS}`;
const LIVE = '"t":"live"';

let stack: RealtimeStack;
beforeAll(async () => {
  stack = await RealtimeStack.start();
  await Promise.all(Array.from({ length: 3 * LISTS }, (_, n) => stack.set(`card-${n}`, list(n))));
  await stack.caughtUp();
});
afterAll(() => stack.stop());

/** What a strict client makes of the frames of a socket; every part of the contract is checked on the way. */
function viewOf(socket: CrowdSocket | undefined, n: number, before?: LiveView): LiveView {
  const view = before ?? new LiveView({ id: 's', view: 'board', where: { list: list(n) } });
  if (!before) view.subscribe();
  for (const text of socket?.frames ?? []) {
    const frame = JSON.parse(text) as ServerFrame; // of our own making
    if ('id' in frame || (frame.t === 'chg' && frame.ch === view.ch)) view.frame(frame);
  }
  return view;
}

/** One in a hundred of them is looked at. */
const sampled = Array.from({ length: SOME / 100 }, (_, n) => n * 99);
const keysOf = (n: number): string[] => [0, 1, 2].map((m) => `card-${(n % LISTS) + m * LISTS}`).sort();

describe('sockets by the thousand', () => {
  it('that come at once while rows change cost a few reads a channel', async () => {
    const crowd = new Crowd(stack);
    await crowd.start();
    crowd.come(SOME, (n) => [{ t: 'sub', id: 's', view: 'board', where: { list: list(n) } }]);
    let arrived = false;
    const all = crowd.everyone(LIVE).finally(() => (arrived = true));
    for (let n = 0; !arrived; n++) await stack.set(`card-${n % (3 * LISTS)}`, list(n), n % 2 === 0);
    await all;
    expect(crowd.asked.snapshots).toBeLessThanOrEqual(LISTS * 5);
    expect(crowd.asked.pages).toBeLessThanOrEqual(SHARDS * 5);
    expect(crowd.asked.heads).toBeLessThanOrEqual(3);
    for (const n of sampled) {
      const view = viewOf(crowd.sockets[n], n);
      expect(view.state).toBe('live');
      expect([...view.rows.keys()].sort()).toEqual(keysOf(n));
    }
    await crowd.stop();
  });

  it('that come one after the other to a channel that changes do not have it read for each', async () => {
    const crowd = new Crowd(stack);
    await crowd.start();
    /** Of the waves that had rows read: when it began, and when all of it was live. */
    const reads: (readonly [from: number, to: number])[] = [];
    for (let wave = 1; wave <= 15; wave++) {
      await stack.set('card-0', list(0), null, `wave ${wave}`);
      await stack.caughtUp();
      const [from, before] = [performance.now(), crowd.asked.snapshots];
      crowd.come(10, () => [{ t: 'sub', id: 's', view: 'board', where: { list: list(0) } }]);
      await crowd.everyone(LIVE);
      if (crowd.asked.snapshots > before) reads.push([from, performance.now()]);
    }
    // After three in a row the last one will do, for a second: no four of them fall into one.
    for (const [n, [, to]] of reads.entries())
      expect(to - (reads[n - 3]?.[0] ?? -Infinity)).toBeGreaterThan(990);
    expect(crowd.asked.snapshots).toBe(reads.length);
    await crowd.everyone('wave 15');
    for (const n of [0, 60, 149])
      expect(viewOf(crowd.sockets[n], 0).rows.get('card-0')?.row).toMatchObject({ note: 'wave 15' });
    await crowd.stop();
  });

  it('that come back at once with their positions cost one read of what they missed', async () => {
    const before = new Crowd(stack);
    await before.start();
    before.come(LISTS, (n) => [{ t: 'sub', id: 's', view: 'board', where: { list: list(n) } }]);
    await before.everyone(LIVE);
    const views = before.sockets.map((socket, n) => viewOf(socket, n));
    await before.stop();
    const cards = Array.from({ length: 3 * LISTS }, (_, n) => n);
    await Promise.all(cards.map((n) => stack.set(`card-${n}`, list(n), null, 'while they were away')));
    await stack.caughtUp();

    const crowd = new Crowd(stack);
    await crowd.start();
    const request = (n: number) => views[n % LISTS]?.subscribe() ?? { t: 'ping' as const };
    crowd.come(SOCKETS, (n) => [request(n)]);
    await crowd.everyone(LIVE);
    expect(crowd.asked.snapshots).toBe(0);
    expect(crowd.asked.pages).toBeLessThanOrEqual(2 * SHARDS);
    for (const n of Array.from({ length: LISTS }, (_, index) => index)) {
      const view = viewOf(crowd.sockets[n + LISTS], n, views[n]);
      expect(view.resets).toEqual([]);
      expect([...view.rows.values()].map(({ row }) => row)).toEqual(
        keysOf(n).map(() => expect.objectContaining({ note: 'while they were away' })),
      );
    }
    await crowd.stop();
  });

  it('of fifty people are fifty tokens to look at, and share the channels of their rights', async () => {
    const people = 50;
    const passes = new Passes();
    for (let n = 0; n < people; n++) passes.give(`token-${n}`, `person-${n}`, { list: list(n) });
    const crowd = new Crowd(stack, passes.rights);
    await crowd.start();
    crowd.come(SOME, (n) => [
      { t: 'sub', id: 's', view: 'board' },
      { t: 'auth', token: `token-${n % people}` },
    ]);
    await crowd.everyone(LIVE);
    expect(passes.asked).toHaveLength(people);
    expect(crowd.asked.snapshots).toBeLessThanOrEqual(2 * LISTS);
    const keys = viewOf(crowd.sockets[57], 7).rows.keys();
    expect([...keys].sort()).toEqual(keysOf(7));
    await crowd.stop();
  });
});
