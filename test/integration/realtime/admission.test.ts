/** How many sockets a process takes, and of whom. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CLOSE_CODES } from '../../../src/protocol/frames.js';
import type { Gateway } from '../../../src/realtime/gateway.js';
import type { GatewaySettingsInput } from '../../../src/realtime/options.js';
import { engines } from '../../support/realtime/engines.js';
import { Passes } from '../../support/realtime/passes.js';
import { Refused } from '../../support/realtime/socket-client.js';
import { RealtimeStack, type LiveClient } from '../../support/realtime/stack.js';

let stack: RealtimeStack;
beforeAll(async () => {
  stack = await RealtimeStack.start();
});
afterAll(() => stack.stop());

describe.each(engines)('admission over $name', (engine) => {
  const refusals: string[] = [];
  const open = (
    settings: GatewaySettingsInput,
    more: Parameters<RealtimeStack['gateway']>[4] = {},
  ): Promise<Gateway> => {
    refusals.length = 0;
    return stack.gateway(engine, settings, { refused: (code) => refusals.push(code) }, true, more);
  };
  const from = (gateway: Gateway, forwardedFor: string): Promise<LiveClient> =>
    stack.client(gateway, { headers: { 'x-forwarded-for': forwardedFor } });
  const refused = async (attempt: Promise<unknown>): Promise<Refused> => {
    const error: unknown = await attempt.catch((thrown: unknown) => thrown);
    if (!(error instanceof Refused)) throw new Error('let in');
    return error;
  };
  /** The socket of a client that left is gone on the server too. */
  const left = (gateway: Gateway, sockets: number): Promise<void> =>
    expect.poll(() => gateway.stats().sockets).toBe(sockets);

  it('a full process says 503 and when to come again, and takes who comes after one has left', async () => {
    const gateway = await open({ maxSockets: 2 });
    const [first] = [await stack.client(gateway), await stack.client(gateway)];
    const { status, body, retryAfter } = await refused(stack.client(gateway));
    expect([status, JSON.parse(body)]).toEqual([503, expect.objectContaining({ code: 'overloaded' })]);
    expect(Number(retryAfter)).toBeGreaterThanOrEqual(1);
    expect(refusals).toEqual(['overloaded']);
    await first.socket.end();
    await left(gateway, 1);
    await stack.client(gateway);
  });

  it('an address has so many and no more: the one that a trusted proxy tells, whatever stood there before', async () => {
    const gateway = await open({ maxSocketsPerAddress: 2 }, { trustProxy: ['loopback'] });
    const first = await from(gateway, '203.0.113.7');
    await from(gateway, '198.51.100.1, 203.0.113.7');
    const { status, body } = await refused(from(gateway, '198.51.100.2, 203.0.113.7'));
    expect([status, JSON.parse(body)]).toEqual([
      429,
      expect.objectContaining({ code: 'too_many_connections' }),
    ]);
    await from(gateway, '203.0.113.8');
    await first.socket.end();
    await left(gateway, 2);
    await from(gateway, '203.0.113.7');
  });

  it('what a stranger writes of its address is not believed', async () => {
    const gateway = await open({ maxSocketsPerAddress: 1 });
    // Not counted: it comes from the same machine, whatever it says.
    for (let n = 0; n < 3; n++) await from(gateway, '203.0.113.7');
    expect(refusals).toEqual([]);
  });

  it('a principal has so many over all of its tokens; the next is told to come back', async () => {
    const passes = new Passes();
    for (const token of ['phone', 'desk']) passes.give(token, 'ann', true);
    passes.give('other', 'bob', true);
    const gateway = await open({ maxSocketsPerPrincipal: 2 }, { rights: passes.rights });
    const signIn = async (token: string): Promise<LiveClient> => {
      const client = await stack.client(gateway);
      client.send({ t: 'auth', token });
      return client;
    };
    const [phone, desk] = [await signIn('phone'), await signIn('desk')];
    await Promise.all([phone.next('authed'), desk.next('authed')]);
    const third = await signIn('phone');
    expect(await third.socket.closed).toMatchObject({ code: CLOSE_CODES.too_many_connections.code });
    await (await signIn('other')).next('authed');
    // Renewed in place, it is no further one.
    phone.send({ t: 'auth', token: 'desk' });
    await phone.next('authed', () => true, phone.frames.length);
    await desk.socket.end();
    await left(gateway, 2);
    await (await signIn('desk')).next('authed');
  });

  it('frames that wait for a token are bounded, and so is how often one may be refused', async () => {
    let letGo = (): void => undefined;
    const passes = new Passes();
    passes.held = new Promise((resolve) => (letGo = resolve));
    const gateway = await open({ heldFrameBytes: 2_000 }, { rights: passes.rights });
    const client = await stack.client(gateway);
    client.send({ t: 'auth', token: 'slow' });
    for (let n = 0; n < 60; n++) client.send({ t: 'sub', id: `s${n}`, view: 'board', key: `k${n}` });
    expect((await client.socket.closed).code).toBe(CLOSE_CODES.flooding.code);
    letGo();
    expect(passes.asked).toHaveLength(1);
    expect(gateway.stats().subscriptions).toBe(0);
  });
});
