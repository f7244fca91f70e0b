/** Whatever a client sends is answered or closes its own socket, by the catalogue; the process and its neighbours go on. */
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CLOSE_CODES, SOCKET_ERRORS, type ServerFrame } from '../../../src/protocol/frames.js';
import type { Gateway } from '../../../src/realtime/gateway.js';
import { engines } from '../../support/realtime/engines.js';
import type { LiveView } from '../../support/realtime/live-view.js';
import { RealtimeStack, type LiveClient } from '../../support/realtime/stack.js';

let stack: RealtimeStack;
beforeAll(async () => {
  stack = await RealtimeStack.start();
});
afterAll(() => stack.stop());

const codes = new Set(Object.keys(SOCKET_ERRORS));

/** Bad frames, and the code that each is answered with. */
const BAD: readonly (readonly [name: string, frame: string | Buffer, code: string])[] = [
  ['nothing', '', 'bad_frame'],
  ['no JSON', 'hello', 'bad_frame'],
  ['half a frame', '{"t":"sub","id":"x"', 'bad_frame'],
  ['an array', '[{"t":"ping"}]', 'bad_frame'],
  ['null', 'null', 'bad_frame'],
  ['a number', '1e999', 'bad_frame'],
  ['no t', '{}', 'bad_frame'],
  ['t of another type', '{"t":{"toString":1}}', 'bad_frame'],
  ['unknown t', '{"t":"publish"}', 'unknown_frame'],
  ['t that objects have', '{"t":"constructor"}', 'unknown_frame'],
  ['__proto__', '{"t":"ping","__proto__":{"polluted":true}}', 'bad_frame'],
  [
    '__proto__ deep inside',
    '{"t":"sub","id":"x","view":"board","where":{"__proto__":{"list":"a"}}}',
    'bad_frame',
  ],
  ['constructor', '{"t":"ping","constructor":{"prototype":{"polluted":true}}}', 'bad_frame'],
  ['an unknown field', '{"t":"ping","more":1}', 'bad_frame'],
  ['binary', Buffer.from('{"t":"ping"}'), 'binary_frame'],
  ['too large', JSON.stringify({ t: 'auth', token: 'x'.repeat(17_000) }), 'frame_too_large'],
  ['too large and binary', Buffer.alloc(20_000), 'frame_too_large'],
  ['deep', `${'['.repeat(8_000)}${']'.repeat(8_000)}`, 'bad_frame'],
  ['deep objects', `${'{"a":'.repeat(2_500)}1${'}'.repeat(2_500)}`, 'bad_frame'],
  ['auth without a token', '{"t":"auth"}', 'bad_frame'],
  ['unsub without an id', '{"t":"unsub"}', 'bad_frame'],
  ...(
    [
      ['id of another type', { id: 1 }, 'bad_frame'],
      ['id empty', { id: '' }, 'bad_frame'],
      ['id long', { id: 'x'.repeat(65) }, 'bad_frame'],
      ['id with a control character', { id: 'a\u0000' }, 'bad_frame'],
      ['no view', { view: undefined }, 'bad_frame'],
      ['an unknown view', { view: 'orders' }, 'unknown_view'],
      ['a view that objects have', { view: 'toString' }, 'unknown_view'],
      ['key of another type', { key: 7 }, 'bad_frame'],
      ['key null', { key: null }, 'bad_frame'],
      ['key blank', { key: '  ' }, 'invalid_key'],
      ['key too long', { key: 'k'.repeat(201) }, 'invalid_key'],
      ['key with NUL', { key: 'a\u0000b' }, 'invalid_key'],
      ['key and where', { key: 'k', where: { list: 'a' } }, 'invalid_filter'],
      ['where of another type', { where: 'list' }, 'invalid_filter'],
      ['where empty', { where: {} }, 'invalid_filter'],
      ['where on no channel', { where: { note: 'a' } }, 'invalid_filter'],
      ['where on a part of a tuple', { where: { done: true } }, 'invalid_filter'],
      ['where on more', { where: { list: 'a', done: true, note: 'x' } }, 'invalid_filter'],
      ['where with a nested value', { where: { list: { eq: 'a' } } }, 'invalid_filter'],
      ['where with a value of another type', { where: { list: 1 } }, 'invalid_filter'],
      ['where with null where none may be', { where: { list: null } }, 'invalid_filter'],
      ['where with a text for a boolean', { where: { list: 'a', done: 'true' } }, 'invalid_filter'],
      ['where with NUL', { where: { list: '\u0000' } }, 'invalid_filter'],
      ['where with half a surrogate pair', { where: { list: '\ud800' } }, 'invalid_filter'],
      ['a sort by what is no field', { sort: '-nope' }, 'invalid_window'],
      ['a sort by a field twice', { sort: 'list,-list' }, 'invalid_window'],
      ['a sort of nothing', { sort: '' }, 'invalid_window'],
      ['no rows', { limit: 0 }, 'invalid_window'],
      ['a limit above the highest', { limit: 1_001 }, 'invalid_window'],
      ['a limit that is a text', { limit: '10' }, 'bad_frame'],
      ['a limit that is no whole number', { limit: 1.5 }, 'bad_frame'],
      ['a window of one row by its key', { key: 'k', limit: 1 }, 'invalid_window'],
      ['limit out of range', { limit: 1e300 }, 'bad_frame'],
      ['from of another type', { from: 5 }, 'bad_frame'],
      ['from an array', { from: [] }, 'bad_frame'],
      ['from without pos', { from: { epoch: 'a' } }, 'bad_frame'],
      ['from with a negative seq', { from: { epoch: 'a', pos: [[0, -1]] } }, 'bad_frame'],
      ['from with a fraction', { from: { epoch: 'a', pos: [[0, 1.5]] } }, 'bad_frame'],
      ['from beyond 2^53', { from: { epoch: 'a', pos: [[0, 2 ** 53]] } }, 'bad_frame'],
      [
        'from with a shard twice',
        {
          from: {
            epoch: 'a',
            pos: [
              [0, 1],
              [0, 2],
            ],
          },
        },
        'bad_frame',
      ],
      ['from with a shard that is not there', { from: { epoch: 'a', pos: [[3, 1]] } }, 'invalid_cursor'],
      ['from with an epoch that is none', { from: { epoch: 'A!', pos: [] } }, 'bad_frame'],
      ['from with more', { from: { epoch: 'a', pos: [], more: 1 } }, 'bad_frame'],
      ['from no cursor', { from: 'abc.def' }, 'invalid_cursor'],
    ] as const
  ).map(
    ([name, fields, code]) =>
      [name, JSON.stringify({ t: 'sub', id: 'x', view: 'board', ...fields }), code] as const,
  ),
];

const anyField = fc.constantFrom(
  't',
  'id',
  'view',
  'key',
  'where',
  'sort',
  'limit',
  'from',
  'token',
  'epoch',
  'pos',
);
const { anyFrame } = fc.letrec((tie) => ({
  anyFrame: fc.oneof(
    fc.string(),
    fc.json(),
    fc.dictionary(anyField, tie('value')).map((frame) => JSON.stringify(frame)),
    fc
      .record(
        {
          t: fc.constantFrom('sub', 'unsub', 'auth', 'ping'),
          id: tie('value'),
          view: tie('value'),
          key: tie('value'),
          where: tie('value'),
          from: tie('value'),
        },
        { requiredKeys: ['t'] },
      )
      .map((frame) => JSON.stringify(frame)),
    fc.uint8Array({ maxLength: 50 }).map((bytes) => Buffer.from(bytes)),
  ),
  value: fc.oneof(
    { maxDepth: 3 },
    fc.constantFrom('board', 'list', 'x', 's1', null, true, -1, 0, 1e308, 2 ** 53, ''),
    fc.string({ unit: 'binary' }),
    fc.array(tie('value'), { maxLength: 4 }),
    fc.dictionary(fc.oneof(anyField, fc.string()), tie('value'), { maxKeys: 4 }),
  ),
}));

describe.each(engines)('hostile frames over $name', (engine) => {
  let gateway: Gateway;
  let neighbour: LiveClient;
  let view: LiveView;
  let writes = 0;

  beforeAll(async () => {
    gateway = await stack.gateway(engine);
    neighbour = await stack.client(gateway);
    view = await neighbour.live({ id: 's', view: 'board', key: `${engine.name}-key` });
  });

  const neighbourGoesOn = async (): Promise<void> => {
    await stack.set(`${engine.name}-key`, 'list', null, `${++writes}`);
    await neighbour.until(() =>
      JSON.stringify(view.rows.get(`${engine.name}-key`)?.row)?.includes(`"${writes}"`),
    );
    expect(view.resets).toEqual([]);
  };

  it('each is told what was expected, and the socket goes on', async () => {
    const client = await stack.client(gateway);
    for (const [name, frame, code] of BAD) {
      const before = client.frames.length;
      client.socket.send(frame);
      const answer = await client.next('err', () => true, before);
      expect([name, answer.code]).toEqual([name, code]);
      expect(answer.message.length).toBeGreaterThan(5);
    }
    const live = await client.live({ id: 'x', view: 'board', where: { list: 'list' } });
    expect(live.state).toBe('live');
    expect(Object.prototype).not.toHaveProperty('polluted');
    await neighbourGoesOn();
  });

  it('a bad frame that names a live subscription does not say that it has ended', async () => {
    const client = await stack.client(gateway);
    await client.live({ id: 'x', view: 'board' });
    for (const [frame, answer] of [
      ['{"t":"sub","id":"x","bogus":1}', { t: 'err', id: 'x', code: 'id_in_use' }],
      ['{"t":"sub","id":"x","view":"board","where":[]}', { t: 'err', id: 'x', code: 'id_in_use' }],
      ['{"t":"unsub","id":"x","bogus":1}', { t: 'err', code: 'bad_frame' }],
      ['{"t":"ping","id":"x"}', { t: 'err', code: 'bad_frame' }],
    ] as const) {
      const before = client.frames.length;
      client.socket.send(frame);
      const { message: _, ...told } = await client.next('err', () => true, before);
      expect(told).toEqual(answer);
    }
  });

  it('a frame far too large closes, and so does a flood', async () => {
    const large = await stack.client(gateway);
    large.socket.send(JSON.stringify({ t: 'auth', token: 'x'.repeat(65 * 1024) }));
    expect((await large.socket.closed).code).toBe(CLOSE_CODES.frame_too_large.code);
    const huge = await stack.client(gateway);
    huge.socket.send('x'.repeat(8 * 1024 * 1024));
    await huge.socket.closed;
    const flood = await stack.client(gateway);
    for (let n = 0; n < 20_000 && flood.socket.ws.readyState === 1; n++) flood.send({ t: 'ping' });
    expect((await flood.socket.closed).code).toBe(CLOSE_CODES.flooding.code);
    await neighbourGoesOn();
  });

  it('random ones are answered with a known frame, each', async () => {
    const known = new Set<ServerFrame['t']>([
      'err',
      'pong',
      'snap',
      'live',
      'chg',
      'reset',
      'unsubbed',
      'hb',
    ]);
    await fc.assert(
      fc.asyncProperty(fc.array(anyFrame, { minLength: 1, maxLength: 30 }), async (frames) => {
        const client = await stack.client(gateway);
        for (const frame of frames) client.socket.send(frame as string | Buffer);
        client.send({ t: 'auth', token: 'the end' });
        await client.next('err', ({ code }) => code === 'auth_off');
        for (const frame of client.frames.slice(1)) {
          expect(known).toContain(frame.t);
          if (frame.t === 'err') expect(codes).toContain(frame.code);
        }
        client.socket.ws.terminate();
      }),
      { numRuns: 60 },
    );
    await neighbourGoesOn();
  });
});
