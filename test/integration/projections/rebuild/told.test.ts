/** What a build says of keys that it parks: a line each in the log, as live workers do. */
import { beforeEach, expect, test } from 'vitest';
import type { AnyApp } from '../../../../src/domain/app.js';
import { createLogger } from '../../../../src/platform/logger.js';
import { ensureReadModel } from '../../../../src/projections/read-model.js';
import { Accounts, bank, Owners } from '../../../support/bank.js';
import { build } from '../../../support/building.js';
import { freshDatabase, type FreshDatabase } from '../../../support/postgres.js';
import { append, startProjecting, type ProjectingProcess } from '../../../support/projecting.js';

let pg: FreshDatabase;
let on: ProjectingProcess;

beforeEach(async () => {
  pg = await freshDatabase();
  on = await startProjecting(
    pg.url,
    { ...bank, projections: [], views: [] } satisfies AnyApp as unknown as typeof bank,
    {
      idle: true,
    },
  );
  return async () => {
    await on.stop();
    await pg.drop();
  };
});

test.each([
  [Accounts, { type: 'Paid', data: { cents: 666 }, tags: { owner: 'o' } }, 'a', 'the devil is in the fold'],
  [
    Owners,
    { type: 'Moved', data: { to: ['x'], cents: 666 }, tags: { owner: 'o' } },
    'x',
    'not to one who has',
  ],
] as const)('$name: the event at fault, and what was thrown', async (view, bad, key, reason) => {
  const first = { type: 'Paid', data: { cents: 5 }, tags: { owner: 'x' } };
  await append(on.store, 'account', 'a', [first, bad]);
  await ensureReadModel(
    on.db,
    { ...bank, projections: [view], views: [view] } satisfies AnyApp as unknown as typeof bank,
    {
      rebuildFrom: 0,
    },
  );
  const lines: unknown[] = [];
  const write = (line: string) => lines.push(JSON.parse(line));
  const logger = createLogger({ level: 'error', destination: { write } });
  expect(await build(pg.url, view, { logger })).toMatchObject({ kind: 'loaded' });
  expect(lines).toEqual([
    expect.objectContaining({
      level: 'error',
      key,
      event: expect.stringMatching(
        new RegExp(`^account\\.${bad.type} \\(stream "a" version 2, shard \\d+ seq 2\\)$`),
      ),
      reason,
      msg: 'a key is parked; see `tidemark parked`',
    }),
  ]);
});
