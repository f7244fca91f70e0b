/** The database is asked per channel and per shard, never per socket. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { engines } from '../../support/realtime/engines.js';
import { LiveView } from '../../support/realtime/live-view.js';
import { RealtimeStack } from '../../support/realtime/stack.js';

const SOCKETS = 150;

let stack: RealtimeStack;
beforeAll(async () => {
  stack = await RealtimeStack.start();
});
afterAll(() => stack.stop());

describe.each(engines)('many sockets at once over $name', (engine) => {
  it('share a snapshot when they come, and a read of what they missed when they come back', async () => {
    for (let n = 0; n < 30; n++) await stack.set(`${engine.name}-${n}`, 'list');
    await stack.caughtUp();
    const counts = { snapshots: 0, backfilled: 0 };
    const observer = {
      snapshotRead: () => void counts.snapshots++,
      backfilled: (_view: string, changes: number) => void (counts.backfilled += changes),
    };
    const first = await stack.gateway(engine, {}, observer);
    const clients = await Promise.all(Array.from({ length: SOCKETS }, () => stack.client(first)));
    const views = await Promise.all(clients.map((client) => client.live({ id: 's', view: 'board' })));
    expect(counts.snapshots).toBeLessThanOrEqual(3);
    await first.stop();

    for (let n = 0; n < 30; n++) await stack.set(`${engine.name}-${n}`, 'list', true);
    await stack.caughtUp();
    const second = await stack.gateway(engine, {}, observer);
    const again = await Promise.all(views.map(() => stack.client(second)));
    const before = counts.snapshots;
    await Promise.all(
      again.map((client, n) => client.goOn(views[n] ?? new LiveView({ id: 's', view: 'board' }))),
    );
    expect(counts.snapshots).toBe(before);
    // Everyone stood at the same place: what was missed was read once.
    expect(counts.backfilled).toBe(30);
    const table = await stack.table();
    for (const view of views) expect(view.rows).toEqual(table);
  });
});
