/** One record to its end: what is tried again, what is given up, and that it lets go when it is told to. */
import { setImmediate as turn } from 'node:timers/promises';
import { expect, test, vi } from 'vitest';
import type { ForeignRecord, RecordGraveyard } from '../../../src/broker/ports.js';
import { Handling } from '../../../src/inbound/handling.js';
import type { CommandPort, InboundCommand } from '../../../src/inbound/ports.js';
import { TidemarkError } from '../../../src/platform/errors.js';
import { silentLogger } from '../../../src/platform/logger.js';
import { foreign } from '../../support/foreign.js';
import { deposits } from '../../support/inbound.js';

const never = new AbortController().signal;
const DEPOSIT = foreign({ account: 'a-1', cents: 5 });

/** A bus that fails with these, one after the other, and then takes everything. */
function scene(failures: readonly unknown[], graveyard?: RecordGraveyard) {
  const left = [...failures];
  const commands: InboundCommand[] = [];
  const buried: Readonly<Record<string, string>>[] = [];
  const bus: CommandPort = {
    execute: async (command) => {
      commands.push(command);
      const failure = left.shift();
      if (failure !== undefined) throw failure;
    },
  };
  const observed = { record: vi.fn(), retried: vi.fn(), keyReused: vi.fn() };
  const handling = new Handling({
    consumer: deposits('t', { attempts: 2 }),
    bus,
    graveyard: graveyard ?? {
      bury: async (_record, headers) => {
        buried.push(headers);
      },
    },
    logger: silentLogger,
    observer: observed,
  });
  const handle = (record: ForeignRecord = DEPOSIT, signal = never) => handling.handle(record, signal);
  return { handling, handle, commands, buried, observed };
}

const failing = (code: string, options = {}) => new TidemarkError(code, `it is ${code}`, options);

test.each([
  'database_unavailable',
  'outcome_unknown',
  'overloaded',
  'too_many_requests',
  'not_ready',
  'stream_conflict',
  'needs_newer_code',
])('%s is waited for, more often than attempts', async (code) => {
  const { handle, commands, observed, buried } = scene([failing(code), failing(code), failing(code)]);
  await handle();
  expect(commands).toHaveLength(4);
  expect(new Set(commands.map(({ idempotencyKey }) => idempotencyKey)).size).toBe(1);
  expect(observed.retried.mock.calls).toEqual(Array.from({ length: 3 }, () => ['deposits', code]));
  expect(observed.record.mock.calls).toEqual([['deposits', 'handled']]);
  expect(buried).toEqual([]);
});

test.each([
  ['internal_error', failing('internal_error')],
  ['context_unavailable', failing('context_unavailable')],
  ['event_unreadable', failing('event_unreadable')],
  ['a code that nobody knows', failing('brand_new')],
  ['what is no error of ours', new TypeError('x is not a function')],
])('%s is tried as often as attempts say, then it is dead', async (_what, failure) => {
  const passes = scene([failure]);
  await passes.handle();
  expect(passes.observed.record.mock.calls).toEqual([['deposits', 'handled']]);
  const dies = scene([failure, failure]);
  await dies.handle();
  expect(dies.commands).toHaveLength(2);
  expect(dies.buried).toMatchObject([
    { ce_attempts: '2', ce_error: expect.stringContaining('account.deposit: ') },
  ]);
});

test.each([
  ['a rejection', failing('account_frozen', { rejection: 'conflict' })],
  ['a rejection of the name of a code of ours', failing('overloaded', { rejection: 'conflict' })],
  ['invalid_payload', failing('invalid_payload', { faults: [{ path: '/cents', message: 'too few' }] })],
  ['invalid_stream_id', failing('invalid_stream_id')],
  ['event_too_large', failing('event_too_large')],
])('%s is dead at once', async (_what, failure) => {
  const { handle, buried, commands, observed } = scene([failure]);
  await handle();
  expect(commands).toHaveLength(1);
  expect(buried).toMatchObject([
    {
      ce_consumer: 'deposits',
      ce_errorcode: failure.code,
      ce_attempts: '1',
      ce_topic: 'billing.payments',
      ce_partition: '2',
      ce_offset: '41',
    },
  ]);
  expect(buried[0]?.['ce_error']).toBe(
    `account.deposit: it is ${failure.code}${failure.faults ? ': /cents: too few' : ''}`,
  );
  expect(observed.record.mock.calls).toEqual([['deposits', 'dead']]);
});

test('a key that was used with another payload is a command that was done', async () => {
  const { handle, buried, observed } = scene([failing('idempotency_key_reused')]);
  await handle();
  expect(buried).toEqual([]);
  expect(observed.keyReused.mock.calls).toEqual([['deposits']]);
  expect(observed.record.mock.calls).toEqual([['deposits', 'handled']]);
});

test('waiting for the database does not count as an attempt of the application', async () => {
  const away = failing('database_unavailable');
  const { handle, observed } = scene([away, failing('internal_error'), away, away]);
  await handle();
  expect(observed.record.mock.calls).toEqual([['deposits', 'handled']]);
});

test('dead letters that cannot be written are waited for', async () => {
  const bury = vi
    .fn<RecordGraveyard['bury']>()
    .mockRejectedValueOnce(failing('broker_unavailable'))
    .mockRejectedValueOnce(failing('broker_unavailable'))
    .mockResolvedValue(undefined);
  const { handle, observed } = scene([], { bury });
  await handle(foreign({ nonsense: true }));
  expect(bury).toHaveBeenCalledTimes(3);
  expect(observed.record.mock.calls).toEqual([['deposits', 'dead']]);
});

test('what waits is told, and lets go at once when it is to', async () => {
  const { handle, handling, observed, commands } = scene(
    Array.from({ length: 100 }, () => failing('database_unavailable')),
  );
  const abort = new AbortController();
  const handled = handle(DEPOSIT, abort.signal);
  while (commands.length < 2) await turn();
  expect(handling.held).toEqual(['billing.payments/2/41 waits: database_unavailable']);
  abort.abort(new Error('taken away'));
  await expect(handled).rejects.toThrow();
  expect(handling.held).toEqual([]);
  expect(observed.record).not.toHaveBeenCalled();
});

test('a command that is under way when it is to let go is not held against the record', async () => {
  const abort = new AbortController();
  const { handle, buried } = scene([failing('invalid_payload')]);
  const reason = new Error('taken away');
  abort.abort(reason);
  await expect(handle(DEPOSIT, abort.signal)).rejects.toBe(reason);
  expect(buried).toEqual([]);
});

test('the reason of a dead letter is one line of bounded length', async () => {
  const { handle, buried } = scene([failing('invalid_payload', {}), undefined]);
  await handle(foreign({ account: 'a', cents: 1, note: 'handler' }));
  expect(buried[0]).toMatchObject({
    ce_errorcode: 'handler_failed',
    ce_error: 'the handler is out of order',
  });
  const long = scene([new TidemarkError('no_way', `a\n${'b'.repeat(5_000)}`, { rejection: 'conflict' })]);
  await long.handle();
  expect(long.buried[0]?.['ce_error']).toMatch(/^account\.deposit: a b+…$/);
  expect(long.buried[0]?.['ce_error']).toHaveLength(1_000);
});
