/** The AsyncAPI document: valid by the official parser, and true: what a real gateway sends and takes fits its schemas. */
import { Parser } from '@asyncapi/parser';
import { Ajv, type ValidateFunction } from 'ajv';
import { aggregate, defineApp, projection } from 'tidemark';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import type { ClientFrame, ServerFrame } from '../../../src/protocol/frames.js';
import { asyncApiDocument } from '../../../src/realtime/asyncapi/document.js';
import { EventClient } from '../../support/realtime/event-client.js';
import { engines } from '../../support/realtime/engines.js';
import { streamUrl } from '../../support/realtime/live-stream.js';
import { Passes } from '../../support/realtime/passes.js';
import { RealtimeStack } from '../../support/realtime/stack.js';

const at = { version: '1.2.3', url: 'wss://live.example/base/realtime' };
/** Of the parser: 0 an error, 1 a warning; what is beneath is advice (a newer minor version). */
const WARNING = 1;

async function faultsOf(document: object): Promise<readonly string[]> {
  const { diagnostics } = await new Parser().parse(JSON.stringify(document));
  return diagnostics
    .filter(({ severity }) => severity <= WARNING)
    .map(({ path, message }) => `${path.join('/')}: ${message}`);
}

/** Rows with all that a schema may hold, two views, and rights by a cookie. */
function richApp() {
  const Thing = aggregate('thing', {
    state: z.object({}),
    initial: {},
    events: { ThingMade: z.object({}) },
    commands: { make: z.object({}) },
  })
    .evolve({ ThingMade: () => ({}) })
    .decide({ make: (_state, _input, { emit }) => emit('ThingMade', {}) });
  const row = z.object({
    id: z.string(),
    kind: z.enum(['a', 'b']),
    count: z.int().nullable(),
    pair: z.tuple([z.string(), z.int()]),
    items: z.array(z.object({ items: z.array(z.string()), const: z.literal('x') })),
    note: z.string().optional(),
  });
  const things = (name: string) =>
    projection(name, { version: 2, row, key: 'id', channels: ['kind', ['kind', 'count']] }).on(Thing, {
      fold: { ThingMade: () => null },
    });
  return defineApp({
    name: 'rich',
    aggregates: [Thing],
    projections: [things('things'), things('other_things')],
    auth: { authenticate: () => null, cookie: 'session' },
  });
}

describe('the document', () => {
  it('is valid AsyncAPI 3', async () => {
    const document = asyncApiDocument(richApp(), at);
    expect(await faultsOf(document)).toEqual([]);
    // The check finds what is wrong.
    const channels = { ...(document['channels'] as object), broken: { address: '/{nowhere}', messages: 7 } };
    expect(await faultsOf({ ...document, channels })).not.toEqual([]);
  }, 120_000); // the parser takes seconds of a core

  it('names servers, security and the channels of each view', () => {
    const document = asyncApiDocument(richApp(), at);
    expect(document).toMatchObject({
      asyncapi: '3.0.0',
      info: { title: 'rich', version: '1.2.3' },
      servers: {
        socket: { protocol: 'wss', pathname: '/base', variables: { host: { default: 'live.example' } } },
        stream: { protocol: 'https', security: [{}, { $ref: '#/components/securitySchemes/cookie' }] },
      },
      channels: {
        socket: { address: '/realtime' },
        stream: { address: '/realtime/sse' },
        things: { address: 'things' },
        'things.row': {
          address: 'things/row/{key}',
          parameters: { key: { location: '$message.payload#/key' } },
        },
        'things.by.kind.count': {
          address: 'things/by/kind/{kind}/count/{count}',
          parameters: { kind: { enum: ['a', 'b'], location: '$message.payload#/where/kind' } },
        },
        'other_things.by.kind': {},
      },
      components: { securitySchemes: { cookie: { type: 'httpApiKey', name: 'session' } } },
    });
  });
});

/** Validators of the messages of a document, by the `t` of their frames. */
class Schemas {
  readonly #byName = new Map<string, ValidateFunction[]>();
  readonly faults: string[] = [];
  readonly seen = new Set<string>();

  constructor(document: {
    readonly components: { readonly messages: Readonly<Record<string, { name: string }>> };
  }) {
    const ajv = new Ajv({ strict: false, allErrors: true });
    ajv.addSchema(document, 'document');
    for (const [key, { name }] of Object.entries(document.components.messages)) {
      const validate = ajv.compile({ $ref: `document#/components/messages/${key}/payload` });
      this.#byName.set(name, [...(this.#byName.get(name) ?? []), validate]);
    }
  }

  get names(): readonly string[] {
    return [...this.#byName.keys()];
  }

  check(frame: ServerFrame | ClientFrame): void {
    this.seen.add(frame.t === 'chg' && 'id' in frame ? 'chg with id' : frame.t);
    const validators = this.#byName.get(frame.t) ?? [];
    if (validators.some((validate) => validate(frame))) return;
    const errors = validators.map((validate) =>
      validate.errors?.map(({ instancePath, message }) => `${instancePath} ${message}`),
    );
    this.faults.push(`${JSON.stringify(frame).slice(0, 300)}: ${JSON.stringify(errors)}`);
  }
}

describe('what a gateway says', () => {
  let stack: RealtimeStack;
  beforeAll(async () => {
    stack = await RealtimeStack.start();
  });
  afterAll(() => stack.stop());

  it.each(engines)('fits the document that it serves ($name)', async (engine) => {
    const passes = new Passes({ recheckMs: 100 });
    const gateway = await stack.gateway(
      engine,
      { heartbeatMs: 50, slowConsumerMs: 400, quietMs: 100 },
      {},
      true,
      { rights: passes.rights },
    );
    const response = await fetch(`http://127.0.0.1:${gateway.port}/asyncapi.json`, {
      headers: { origin: 'http://localhost' },
    });
    expect(response.headers.get('access-control-allow-origin')).toBe('http://localhost');
    const schemas = new Schemas((await response.json()) as ConstructorParameters<typeof Schemas>[0]);
    passes.give('t1', 'me', true, Date.now() + 3_600_000);
    passes.give('t2', 'visitor', true);
    const list = `${engine.name}-list`;
    await stack.set(`${engine.name}-a`, list, true);
    await stack.caughtUp();
    const client = await stack.client(gateway);
    const say = (frame: ClientFrame): void => {
      schemas.check(frame);
      client.send(frame);
    };
    say({ t: 'auth', token: 't1' });
    say({ t: 'sub', id: 'all', view: 'board' });
    say({ t: 'sub', id: 'key', view: 'board', key: `${engine.name}-a` });
    say({ t: 'sub', id: 'list', view: 'board', where: { list } });
    say({ t: 'sub', id: 'two', view: 'board', where: { list, done: true } });
    say({ t: 'sub', id: 'window', view: 'board', where: { list }, limit: 5 });
    say({ t: 'sub', id: 'old', view: 'board', from: { epoch: 'zzz', pos: [[0, 1]] } });
    say({ t: 'ping' });
    await client.next('live', ({ id }) => id === 'old');
    const url = streamUrl(gateway.port, { view: 'board', where: { list } });
    const headers = { authorization: 'Bearer t2' };
    const stream = await EventClient.open(url, { headers });
    await stream.next('live');
    await stack.set(`${engine.name}-b`, list);
    await stack.remove(`${engine.name}-a`);
    await client.next(
      'chg',
      (frame) => 'ch' in frame && frame.d.some(([, , , rows]) => rows.some(([, , row]) => row === null)),
    );
    const cut = stream.lastEventId;
    const before = stream.events.length;
    await stack.set(`${engine.name}-c`, list, false);
    // The gateway has it: who comes back with the place before it gets it by a replay.
    await stream.until(() =>
      stream.events.slice(before).find(({ data }) => data.includes(`${engine.name}-c`)),
    );
    const back = await EventClient.open(url, { headers, lastEventId: cut });
    await back.next('live');
    say({ t: 'unsub', id: 'two' });
    await client.next('unsubbed');
    passes.revoke('t2');
    expect(await back.ended).toBe(true);
    client.socket.send({ t: 'nonsense' });
    await client.next('err');
    await client.next('hb');
    await gateway.stop();
    await client.socket.closed;
    for (const frame of client.frames) schemas.check(frame);
    for (const { data } of [...stream.events, ...back.events]) schemas.check(JSON.parse(data) as ServerFrame);
    expect(schemas.faults).toEqual([]);
    expect([...schemas.seen].sort()).toEqual([...schemas.names, 'chg with id'].sort());
  });
});
