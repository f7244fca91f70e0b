/** The command bus on the real event store: order, answers, context, back pressure, life and end. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { codeOf, gate, startCommands, type CommandProcess } from '../../support/commands.js';
import { ledgerApp, type LedgerHooks } from '../../support/ledger.js';
import { freshDatabase, type FreshDatabase } from '../../support/postgres.js';

let pg: FreshDatabase;
let main: CommandProcess;
const hooks: LedgerHooks = {};
const app = ledgerApp(hooks);

beforeAll(async () => {
  pg = await freshDatabase();
  main = await startCommands(pg.url, app);
});

afterAll(async () => {
  await main?.stop();
  await pg?.drop();
});

const ledger = (streamId: string, command: string, payload: unknown = {}) => ({
  aggregate: 'ledger',
  streamId,
  command,
  payload,
});
const add = (streamId: string, by = 1) => ledger(streamId, 'add', { by });

describe('one stream', () => {
  it('takes fifty commands at once in their order, each decided once', async () => {
    const answers = await Promise.all(Array.from({ length: 50 }, () => main.run(add('busy'))));
    expect(answers.map(({ version }) => version)).toEqual(Array.from({ length: 50 }, (_, n) => n + 1));
    expect(main.conflicts()).toBe(0);
    const events = await main.store.readStream({ category: 'ledger', streamId: 'busy', limit: 100 });
    expect(events.map(({ eventId }) => eventId)).toEqual(
      answers.map(({ events: [event] }) => event?.eventId),
    );
  });

  it('carries correlation, causation, actor, trace and tags', async () => {
    const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
    await main.run({
      ...add('traced'),
      actor: 'me',
      correlationId: 'corr',
      causationId: 'cause',
      traceparent,
    });
    await main.run(ledger('traced', 'close'));
    const [first, second] = await main.store.readStream({ category: 'ledger', streamId: 'traced', limit: 9 });
    expect(first?.metadata).toEqual({
      correlationId: 'corr',
      causationId: 'cause',
      actor: 'me',
      traceparent,
    });
    expect(second?.metadata.correlationId).toBe(second?.metadata.causationId);
    expect([first?.tags, second?.tags]).toEqual([{ closed: 'false' }, { closed: 'true' }]);
  });

  it('answers with a token for where the stream stands, also when nothing is emitted', async () => {
    const written = await main.run(ledger('token', 'reach', { sum: 3 }));
    const [event] = await main.store.readStream({ category: 'ledger', streamId: 'token', limit: 1 });
    const token = main.signer.verify(written.token);
    expect(token).toMatchObject({ kind: 'token', logs: { ledger: { pos: [[event?.shard, event?.seq]] } } });
    const same = await main.run(ledger('token', 'reach', { sum: 3 }));
    expect(same).toEqual({ streamId: 'token', version: 1, events: [], token: written.token });
    const none = await main.run(ledger('nothing-there', 'reach', { sum: 0 }));
    expect(none).toMatchObject({ version: 0, events: [] });
    expect(main.signer.verify(none.token)).toMatchObject({ logs: { ledger: { pos: [] } } });
  });

  it('writes all events of a command or none', async () => {
    const answer = await main.run(ledger('several', 'add', { by: 1, times: 3 }));
    expect(answer.events.map(({ version }) => version)).toEqual([1, 2, 3]);
    const note = 'x'.repeat(300_000);
    expect(await codeOf(main.run(ledger('several', 'add', { by: 1, note, times: 20 })))).toBe(
      'event_too_large',
    );
    expect(await main.run(ledger('several', 'reach', { sum: 3 }))).toMatchObject({ version: 3, events: [] });
  });

  it('a bug of the domain is its own command’s alone', async () => {
    await main.run(add('buggy'));
    const [crash, neighbour] = await Promise.allSettled([
      main.run(ledger('buggy', 'crash')),
      main.run(add('buggy')),
    ]);
    expect(crash).toMatchObject({ status: 'rejected', reason: { code: 'internal_error' } });
    if (crash.status === 'rejected')
      expect(String(crash.reason.message)).not.toContain('secret-of-the-domain');
    expect(neighbour).toMatchObject({ status: 'fulfilled', value: { version: 2 } });
  });

  it('a decision that throws on a stale state is made again on a fresh one', async () => {
    const other = await startCommands(pg.url, app);
    await main.run(add('stale-crash'));
    await other.run(ledger('stale-crash', 'close'));
    await expect(main.run(ledger('stale-crash', 'crash'))).resolves.toMatchObject({ version: 3 });
    await other.stop();
  });

  it('data that Postgres refuses fails alone, as bad input', async () => {
    await main.database.query(
      `ALTER TABLE ${main.database.table('events')} ADD CONSTRAINT no_thirteen CHECK (data::text <> '{"by":13}') NOT VALID`,
    );
    const runs = ['r-1', 'r-2', 'r-3'].map((id, n) => codeOf(main.run(add(id, 12 + n))));
    expect(await Promise.all(runs)).toEqual(['answered', 'invalid_payload', 'answered']);
    await expect(main.run(add('r-2', 14))).resolves.toMatchObject({ version: 1 });
  });
});

describe('bad input', () => {
  it('has its code before anything is queued', async () => {
    const code = (what: object) => codeOf(main.run({ ...add('bad'), ...what }));
    expect(await code({ aggregate: 'constructor' })).toBe('unknown_aggregate');
    expect(await code({ command: 'toString' })).toBe('unknown_command');
    expect(await code({ payload: { by: 1.5 } })).toBe('invalid_payload');
    expect(await code({ payload: { by: 1, extra: 1 } })).toBe('invalid_payload');
    expect(await code({ payload: { by: 1, note: 'a\u0000' } })).toBe('invalid_payload');
    for (const streamId of ['', ' ', 'a\n', '\ud800', 'x'.repeat(201)])
      expect(await code({ streamId })).toBe('invalid_stream_id');
    expect(await main.store.readStream({ category: 'ledger', streamId: 'bad', limit: 1 })).toEqual([]);
  });
});

describe('context', () => {
  it('is resolved once, also when the command is decided again', async () => {
    const other = await startCommands(pg.url, app);
    await main.run(add('rated'));
    await other.run(add('rated'));
    let resolved = 0;
    let decided = 0;
    hooks.rate = async () => {
      resolved++;
      return 10;
    };
    hooks.decided = () => void decided++;
    await main.run(ledger('rated', 'addRated', { by: 2 }));
    expect([resolved, decided]).toEqual([1, 2]);
    const last = await main.store.readStream({
      category: 'ledger',
      streamId: 'rated',
      direction: 'backwards',
      limit: 1,
    });
    expect(last[0]?.data).toEqual({ by: 20 });
    delete hooks.decided;
    await other.stop();
  });

  it('that fails or hangs is unavailable, but a repeat gets its stored answer', async () => {
    const hasty = await startCommands(pg.url, app, { bus: { contextTimeoutMs: 20 } });
    const request = { ...ledger('hanging', 'addRated', { by: 2 }), idempotencyKey: 'k' };
    hooks.rate = async () => 1;
    const first = await hasty.run(request);
    hooks.rate = () => new Promise(() => undefined);
    expect(await hasty.run(request)).toEqual(first);
    expect(await codeOf(hasty.run({ ...request, idempotencyKey: 'other' }))).toBe('context_unavailable');
    hooks.rate = () => Promise.reject(new Error('price list is down'));
    expect(await codeOf(hasty.run({ ...request, idempotencyKey: 'other' }))).toBe('context_unavailable');
    await hasty.stop();
  });
});

describe('back pressure and end', () => {
  it('a full queue answers at once, and what was taken is served', async () => {
    const { opened, open } = gate();
    hooks.rate = async () => (await opened, 1);
    const small = await startCommands(pg.url, app, { bus: { maxWaitingPerStream: 2, maxInFlight: 4 } });
    const rated = (id: string) => small.run(ledger(id, 'addRated', { by: 1 }));
    const taken = [rated('full'), rated('full'), rated('full')];
    await expect(rated('full')).rejects.toMatchObject({ code: 'too_many_requests', retryAfter: 1 });
    taken.push(rated('another'));
    await expect(rated('third')).rejects.toMatchObject({ code: 'overloaded', retryAfter: 1 });
    expect(small.bus.stats).toMatchObject({ inFlight: 4, waiting: 2 });
    open();
    expect((await Promise.all(taken)).map(({ version }) => version)).toEqual([1, 2, 3, 1]);
    await small.stop();
  });

  it('stops when what was taken is answered, and takes no more', async () => {
    const { opened, open } = gate();
    hooks.rate = async () => (await opened, 1);
    const ending = await startCommands(pg.url, app);
    const taken = [1, 2].map(() => ending.run(ledger('ending', 'addRated', { by: 1 })));
    const stopped = ending.bus.stop();
    expect(await codeOf(ending.run(add('ending')))).toBe('not_ready');
    open();
    expect((await Promise.all(taken)).map(({ version }) => version)).toEqual([1, 2]);
    await stopped;
    expect(ending.bus.stats).toMatchObject({ inFlight: 0, cachedAggregates: 0 });
    await ending.stop();
  });

  it('a command whose caller went away while it waited is never decided', async () => {
    const { opened, open } = gate();
    hooks.rate = async () => (await opened, 1);
    const first = main.run(ledger('left', 'addRated', { by: 1 }));
    const controller = new AbortController();
    const second = main.run({ ...add('left'), signal: controller.signal });
    controller.abort(new Error('gone'));
    await expect(second).rejects.toThrow('gone');
    open();
    await first;
    await expect(main.run(add('left'))).resolves.toMatchObject({ version: 2 });
  });
});
