/** Random commands, repeats and preconditions from two processes on few streams: every answer holds in the end. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { isTidemarkError } from '../../../src/platform/errors.js';
import type { CommandResult } from '../../../src/commands/bus.js';
import { startCommands, type CommandProcess } from '../../support/commands.js';
import { ledgerApp } from '../../support/ledger.js';
import { freshDatabase, type FreshDatabase } from '../../support/postgres.js';
import { randomFrom } from '../../support/random.js';

let pg: FreshDatabase;
let processes: CommandProcess[];

beforeAll(async () => {
  pg = await freshDatabase();
  const bus = { maxAttempts: 500, cachedAggregates: 2, snapshotEvery: 7 };
  const app = ledgerApp();
  processes = [await startCommands(pg.url, app, { bus }), await startCommands(pg.url, app, { bus })];
});

afterAll(async () => {
  await Promise.all((processes ?? []).map((one) => one.stop()));
  await pg?.drop();
});

const EXPECTED = ['precondition_failed', 'ledger_closed'];

it('no answer is lost, doubled or taken back', async () => {
  const seed = Number(process.env['TIDEMARK_SEED'] ?? Date.now() % 1e9);
  const random = randomFrom(seed);
  const answers = new Map<string, { readonly result: CommandResult; readonly by: number }>();
  const one = async (n: number): Promise<void> => {
    const key = `k-${random(150)}`;
    const id = Number(key.slice(2));
    const by = 1 + (id % 9);
    const close = id === 149;
    const request = {
      aggregate: 'ledger',
      streamId: `l-${id % 4}`,
      command: close ? 'close' : 'add',
      payload: close ? {} : { by, times: 1 + (id % 3) },
      idempotencyKey: key,
      ...(id % 10 === 0 ? { ifMatch: id % 20 } : {}),
    };
    const result = await processes[n % 2]?.run(request).catch((error: unknown) => {
      if (isTidemarkError(error) && EXPECTED.includes(error.code)) return undefined;
      throw error;
    });
    if (!result) return;
    const before = answers.get(key);
    if (before) expect(result).toEqual(before.result);
    else answers.set(key, { result, by: close ? 0 : by });
  };
  const runs = Array.from({ length: 12 }, async (_, lane) => {
    for (let n = 0; n < 30; n++) await one(lane + n);
  });
  await Promise.all(runs).catch((cause: unknown) => {
    throw new Error(`seed ${seed}`, { cause });
  });
  const [reader] = processes;
  for (let stream = 0; stream < 4; stream++) {
    const streamId = `l-${stream}`;
    const events = (await reader?.store.readStream({ category: 'ledger', streamId, limit: 1_000 })) ?? [];
    expect(events.map(({ version }) => version)).toEqual(events.map((_, n) => n + 1));
    const told = [...answers.values()].filter(({ result }) => result.streamId === streamId);
    const ids = told.flatMap(({ result }) => result.events.map(({ eventId }) => eventId));
    expect(new Set(ids), `seed ${seed}`).toEqual(new Set(events.map(({ eventId }) => eventId)));
    expect(ids).toHaveLength(events.length);
    const sum = told.reduce((total, { result, by }) => total + by * result.events.length, 0);
    const last = await reader?.run({ aggregate: 'ledger', streamId, command: 'reach', payload: { sum } });
    expect(last?.events, `seed ${seed}`).toEqual([]);
  }
});
