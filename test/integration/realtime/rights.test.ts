/** Who sees what over the socket: tokens, scopes, and rights that come and go while a socket is open. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CLOSE_CODES, type UnsubReason } from '../../../src/protocol/frames.js';
import type { Gateway } from '../../../src/realtime/gateway.js';
import type { GatewaySettingsInput } from '../../../src/realtime/options.js';
import type { GatewayObserver } from '../../../src/realtime/ports.js';
import { scopeHash } from '../../../src/rights/scopes.js';
import { engines } from '../../support/realtime/engines.js';
import { Passes } from '../../support/realtime/passes.js';
import { Refused } from '../../support/realtime/socket-client.js';
import { LiveView, type Subscribe } from '../../support/realtime/live-view.js';
import { RealtimeStack, type LiveClient } from '../../support/realtime/stack.js';

let stack: RealtimeStack;
beforeAll(async () => {
  stack = await RealtimeStack.start();
});
afterAll(() => stack.stop());

describe.each(engines)('rights over $name', (engine) => {
  const own = (name: string): string => `${engine.name}-${name}`;
  const open = (
    passes: Passes,
    settings: GatewaySettingsInput = {},
    observer: GatewayObserver = {},
  ): Promise<Gateway> =>
    // Who does not read is looked after four times in `slowConsumerMs`, and so are tokens.
    stack.gateway(engine, { slowConsumerMs: 80, ...settings }, observer, true, { rights: passes.rights });
  const signIn = async (gateway: Gateway, token: string): Promise<LiveClient> => {
    const client = await stack.client(gateway);
    client.send({ t: 'auth', token });
    await client.next('authed');
    return client;
  };
  const refusalOf = async (
    client: LiveClient,
    request: Subscribe,
  ): Promise<{ code: string; message: string }> => {
    const before = client.frames.length;
    client.send({ t: 'sub', ...request });
    const { code, message } = await client.next('err', ({ id }) => id === request.id, before);
    return { code, message };
  };
  const dropped = async (client: LiveClient, id: string): Promise<UnsubReason | undefined> => {
    const frame = await client.next('unsubbed', (one) => one.id === id);
    expect(frame.drop).toBe(true);
    return frame.reason;
  };

  it('what was sent before the token waits for it, and its answers come after `authed`', async () => {
    const passes = new Passes();
    const [list, expiresAt] = [own('early'), Date.now() + 3_600_000];
    passes.give('t', 'ann', { list }, expiresAt);
    await stack.set(own('e1'), list);
    await stack.set(own('e2'), own('others'));
    await stack.caughtUp();
    const client = await stack.client(await open(passes));
    client.send({ t: 'sub', id: 'a', view: 'board' });
    client.send({ t: 'unsub', id: 'a' });
    client.send({ t: 'ping' });
    const view = new LiveView({ id: 's', view: 'board' });
    client.views.set('s', view);
    client.send(view.subscribe());
    await client.next('pong');
    client.send({ t: 'auth', token: 't' });
    await client.until(() => view.state === 'live');
    expect(client.frames.map(({ t }) => t)).toEqual([
      'welcome',
      'pong',
      'authed',
      'unsubbed',
      'snap',
      'live',
    ]);
    expect(await client.next('authed')).toEqual({ t: 'authed', expiresAt });
    expect([...view.rows.keys()]).toEqual([own('e1')]);
    expect(passes.asked).toEqual([{ token: 't', via: 'frame' }]);
  });

  it('rows of others are never sent; a row that becomes another’s goes', async () => {
    const passes = new Passes();
    const [mine, others] = [own('mine'), own('others')];
    passes.give('t', 'ann', { list: mine });
    const gateway = await open(passes);
    const client = await signIn(gateway, 't');
    const all = await client.live({ id: 'all', view: 'board' });
    const same = await client.live({ id: 'same', view: 'board', where: { list: mine } });
    const narrow = await client.live({ id: 'narrow', view: 'board', where: { list: mine, done: true } });
    const one = await client.live({ id: 'one', view: 'board', key: own('r1') });
    const short = await client.live({ id: 'short', view: 'board', where: { done: true } });
    expect([all.ch, narrow.ch]).toEqual([same.ch, short.ch]);
    await stack.set(own('r0'), others);
    await stack.set(own('r1'), mine, true);
    await client.until(() => [all, same, narrow, one].every((view) => view.rows.size === 1));
    await stack.set(own('r1'), others, true);
    await client.until(() => [all, same, narrow, one].every((view) => view.rows.size === 0));
    // Nothing of what it is now, nor that it changes.
    await stack.set(own('r1'), others, false, 'secret');
    await stack.set(own('r2'), mine);
    await client.until(() => all.rows.size === 1);
    expect(one.seen).toHaveLength(2);
    expect(client.socket.received.join('')).not.toContain(others);
    expect(await refusalOf(client, { id: 'x', view: 'board', where: { list: others } })).toMatchObject({
      code: 'forbidden',
    });
    expect(await refusalOf(client, { id: 'x', view: 'board', where: { note: 'x' } })).toMatchObject({
      code: 'invalid_filter',
    });
  });

  it('a key of another’s is as one without a row, and its changes are silent', async () => {
    const passes = new Passes();
    passes.give('ann', 'ann', { list: own('ann') });
    passes.give('bob', 'bob', { list: own('bob') });
    await stack.set(own('k'), own('bob'));
    await stack.caughtUp();
    const gateway = await open(passes);
    const [ann, bob] = [await signIn(gateway, 'ann'), await signIn(gateway, 'bob')];
    const hers = await ann.live({ id: 's', view: 'board', key: own('k') });
    const his = await bob.live({ id: 's', view: 'board', key: own('k') });
    expect([hers.rows.size, his.rows.size]).toEqual([0, 1]);
    await stack.set(own('k'), own('bob'), null, 'changed');
    await bob.until(() => his.seen.length === 1);
    await stack.set(own('k'), own('ann'));
    await ann.until(() => hers.rows.size === 1);
    await bob.until(() => his.rows.size === 0);
    expect(hers.seen).toHaveLength(1);
  });

  it('who may see nothing, or only what no channel carries, is told', async () => {
    const passes = new Passes();
    passes.give('none', 'no', false);
    passes.give('done', 'dora', { done: true });
    passes.give('broken', 'bo', 'broken');
    const gateway = await open(passes);
    const nobody = await signIn(gateway, 'none');
    expect((await refusalOf(nobody, { id: 'x', view: 'board' })).code).toBe('forbidden');
    expect((await refusalOf(nobody, { id: 'x', view: 'board', key: 'k' })).code).toBe('forbidden');
    const dora = await signIn(gateway, 'done');
    expect(await refusalOf(dora, { id: 'x', view: 'board' })).toEqual({
      code: 'forbidden',
      message: 'only rows of your done are yours: expected where of {list, done}',
    });
    await dora.live({ id: 'x', view: 'board', where: { list: own('l'), done: true } });
    await dora.live({ id: 'y', view: 'board', where: { list: own('l') } });
    const broken = await signIn(gateway, 'broken');
    expect((await refusalOf(broken, { id: 'x', view: 'board' })).code).toBe('rule_failed');
    broken.send({ t: 'ping' });
    await broken.next('pong');
  });

  it('a socket without a token that is accepted is closed with a code that says whether to come back', async () => {
    const passes = new Passes();
    passes.give('old', 'ann', true, Date.now() - 1);
    const why: string[] = [];
    const states = new Map<string | undefined, number>();
    const observer: GatewayObserver = {
      authFailed: (reason) => why.push(reason),
      socketMoved(from, to) {
        states.set(from, (states.get(from) ?? 0) - 1);
        states.set(to, (states.get(to) ?? 0) + 1);
      },
    };
    const impatient = await open(passes, { authTimeoutMs: 60 }, observer);
    const silent = await stack.client(impatient);
    expect(await silent.socket.closed).toEqual({
      code: CLOSE_CODES.auth_timeout.code,
      reason: 'auth_timeout',
    });
    // Whoever says something is heard, however long it takes to say it.
    const gateway = await open(passes, { authTimeoutMs: 60_000 }, observer);
    const told = async (token: string): Promise<[number, string | undefined]> => {
      const client = await stack.client(gateway);
      client.send({ t: 'auth', token });
      const { code } = await client.socket.closed;
      const said = client.frames.find(({ t }) => t === 'err');
      expect(JSON.stringify(client.frames)).not.toContain(token);
      return [code, said?.t === 'err' ? said.code : undefined];
    };
    expect(await told('unknown-token')).toEqual([CLOSE_CODES.unauthenticated.code, 'auth_refused']);
    expect(await told('old')).toEqual([CLOSE_CODES.token_expired.code, 'auth_refused']);
    passes.away = true;
    expect(await told('whatever-token')).toEqual([CLOSE_CODES.auth_unavailable.code, undefined]);
    expect(why).toEqual(['unauthenticated', 'token_expired', 'auth_unavailable']);
    for (const one of [impatient, gateway]) await expect.poll(() => one.stats().sockets).toBe(0);
    expect([...states].filter(([state, count]) => state !== undefined && count !== 0)).toEqual([]);
  });

  it('a token that expires takes its rows along; another that comes in time goes on without a frame more', async () => {
    const passes = new Passes({ recheckMs: 60 });
    const list = own('expiry');
    passes.give('short', 'ann', { list }, Date.now() + 60_000);
    passes.give('long', 'ann', { list }, Date.now() + 3_600_000);
    await stack.set(own('x1'), list);
    await stack.caughtUp();
    const gateway = await open(passes);
    const [left, renewed] = [await signIn(gateway, 'short'), await signIn(gateway, 'short')];
    for (const client of [left, renewed]) await client.live({ id: 's', view: 'board' });
    renewed.send({ t: 'auth', token: 'long' });
    await renewed.next('authed', ({ expiresAt }) => (expiresAt ?? 0) > Date.now() + 600_000);
    // Both are live: from here on it may be over at any time.
    const soon = Date.now() + 300;
    passes.give('short', 'ann', { list }, soon);
    expect(await dropped(left, 's')).toBe('token_expired');
    expect(Date.now()).toBeGreaterThanOrEqual(soon);
    expect(gateway.stats()).toEqual({ sockets: 2, subscriptions: 1 });
    await stack.set(own('x2'), list);
    await renewed.until(() => renewed.views.get('s')?.rows.size === 2);
    expect(renewed.frames.map(({ t }) => t)).toEqual(['welcome', 'authed', 'snap', 'live', 'authed', 'chg']);
    // In time still for who was dropped, on the same socket.
    left.send({ t: 'auth', token: 'long' });
    const again = await left.live({ id: 's', view: 'board' });
    expect(again.rows.size).toBe(2);
  });

  it('a renewal that is refused leaves what there is; too many of them close', async () => {
    const passes = new Passes();
    passes.give('t', 'ann', true);
    const client = await signIn(await open(passes), 't');
    await client.live({ id: 's', view: 'board', key: 'k' });
    for (let n = 0; n < 4; n++) client.send({ t: 'auth', token: `wrong-${n}` });
    client.send({ t: 'ping' });
    await client.until(() => client.frames.filter(({ t }) => t === 'err').length === 4);
    passes.away = true;
    client.send({ t: 'auth', token: 'unknown' });
    await client.next('err', ({ code }) => code === 'auth_unavailable');
    expect(await client.socket.closed).toMatchObject({ code: CLOSE_CODES.auth_unavailable.code });
  });

  it('a token that is revoked ends what it opened, looked at once for all who hold it', async () => {
    const passes = new Passes({ recheckMs: 60 });
    passes.give('t', 'ann', true);
    const reasons: string[] = [];
    const gateway = await open(passes, { authTimeoutMs: 60 }, { dropped: (_view, why) => reasons.push(why) });
    // With the upgrade, as who comes without a token has little time to show one.
    const headers = { authorization: 'Bearer t' };
    const clients = await Promise.all([1, 2, 3, 4].map(() => stack.client(gateway, { headers })));
    await Promise.all(clients.map((client) => client.live({ id: 's', view: 'board', key: 'k' })));
    const known = passes.asked.length;
    await expect.poll(() => passes.asked.length).toBeGreaterThanOrEqual(known + 2);
    let answer = (): void => undefined;
    passes.held = new Promise((resolve) => (answer = resolve));
    const looks = passes.asked.length;
    await expect.poll(() => passes.asked.length).toBeGreaterThan(looks);
    passes.revoke('t');
    answer();
    for (const client of clients) {
      expect(await dropped(client, 's')).toBe('token_revoked');
      expect((await client.socket.closed).code).toBe(CLOSE_CODES.unauthenticated.code);
    }
    expect(reasons).toEqual(Array.from({ length: 4 }, () => 'token_revoked'));
    // The look that found it out was one for all four.
    expect(passes.asked).toHaveLength(looks + 1);
  });

  it('other rights under an open socket: rows that are others begin anew, what is lost is dropped', async () => {
    const passes = new Passes({ recheckMs: 60 });
    passes.give('t', 'ann', { list: own('was') });
    await stack.set(own('w'), own('was'));
    await stack.set(own('i'), own('is'));
    await stack.caughtUp();
    const client = await signIn(await open(passes), 't');
    const all = await client.live({ id: 'all', view: 'board' });
    await client.live({ id: 'asked', view: 'board', where: { list: own('was') } });
    const one = await client.live({ id: 'one', view: 'board', key: own('i') });
    const before = all.position();
    expect([[...all.rows.keys()], one.rows.size]).toEqual([[own('w')], 0]);
    passes.give('t', 'ann', { list: own('is') });
    expect(await dropped(client, 'asked')).toBe('forbidden');
    await client.until(() => all.state === 'live' && all.resets.length === 1 && one.rows.size === 1);
    expect([all.resets, one.resets]).toEqual([['rights_changed'], ['rights_changed']]);
    expect([...all.rows.keys()]).toEqual([own('i')]);
    // A position of the rights that were is none of these.
    if (!before) throw new Error('no position');
    const resumed = new LiveView({ id: 'again', view: 'board' });
    client.views.set('again', resumed);
    client.send({ t: 'sub', id: 'again', view: 'board', from: before });
    await client.until(() => resumed.state === 'live');
    expect(resumed.resets).toEqual(['epoch_changed']);
    const good = await stack.client(await open(passes));
    good.send({ t: 'auth', token: 't' });
    await good.goOn(all);
    expect(all.resets).toEqual(['rights_changed']);
  });

  it('a cursor of HTTP is good for whoever has the rights that it was read with', async () => {
    const passes = new Passes();
    passes.give('ann', 'ann', { list: own('ann') });
    passes.give('bob', 'bob', { list: own('bob') });
    const gateway = await open(passes);
    const [ann, bob] = [await signIn(gateway, 'ann'), await signIn(gateway, 'bob')];
    const { epoch = '', pos = [] } = (await ann.live({ id: 's', view: 'board' })).position() ?? {};
    const scope = scopeHash({ list: own('ann') }) ?? '';
    expect(epoch.endsWith(scope)).toBe(true);
    const bare = { kind: 'cursor', log: 'board.v1', epoch: epoch.slice(0, -scope.length), pos };
    const from = stack.signer.sign({ ...bare, bind: { view: 'board', scope } });
    ann.send({ t: 'sub', id: 'c', view: 'board', from });
    await ann.next('live', ({ id }) => id === 'c');
    for (const wrong of [from, stack.signer.sign({ ...bare, bind: { view: 'board' } })]) {
      bob.send({ t: 'sub', id: 'c', view: 'board', from: wrong });
      await bob.next('err', ({ id, code }) => id === 'c' && code === 'invalid_cursor');
    }
    expect(ann.frames.some(({ t }) => t === 'reset')).toBe(false);
  });

  it('a cookie or a bearer token at the upgrade will do; a cookie that is refused leaves room for a frame', async () => {
    const passes = new Passes();
    passes.give('good', 'ann', true);
    const gateway = await open(passes, { authTimeoutMs: 60_000 });
    const with_ = (headers: Record<string, string>, one = gateway): Promise<LiveClient> =>
      stack.client(one, { headers });
    for (const headers of [{ cookie: 'a=b; session=good' }, { authorization: 'Bearer good' }]) {
      const client = await with_(headers);
      await client.live({ id: 's', view: 'board', key: 'k' });
      expect(client.frames.map(({ t }) => t)).toEqual(['welcome', 'authed', 'snap', 'live']);
    }
    const stale = await with_({ cookie: 'session=stale' });
    await stale.next('err', ({ code }) => code === 'auth_refused');
    stale.send({ t: 'auth', token: 'good' });
    await stale.live({ id: 's', view: 'board', key: 'k' });
    const lost = await with_({ cookie: 'session=stale' }, await open(passes, { authTimeoutMs: 150 }));
    expect((await lost.socket.closed).code).toBe(CLOSE_CODES.unauthenticated.code);
    const refused = await with_({ authorization: 'Basic Z29vZA==' }).catch((error: unknown) => error);
    expect(refused).toBeInstanceOf(Refused);
    expect(refused).toMatchObject({ status: 401 });
    expect(passes.asked.map(({ via }) => via)).toEqual(['cookie', 'bearer', 'cookie', 'frame', 'cookie']);
  });

  it('without a token one is the anonymous, where there is one, and somebody else after `auth`', async () => {
    const anonymous = { id: 'guest', claims: { scope: { list: own('public') } } };
    const passes = new Passes({ anonymous });
    passes.give('t', 'ann', true);
    await stack.set(own('p'), own('public'));
    await stack.set(own('q'), own('private'));
    await stack.caughtUp();
    const client = await stack.client(await open(passes, { maxSocketsPerPrincipal: 1 }));
    const view = await client.live({ id: 's', view: 'board' });
    expect([...view.rows.keys()]).toEqual([own('p')]);
    expect((await refusalOf(client, { id: 'x', view: 'board', where: { list: own('private') } })).code).toBe(
      'forbidden',
    );
    client.send({ t: 'auth', token: 't' });
    await client.until(() => view.rows.has(own('q')));
    expect(view.resets).toEqual(['rights_changed']);
  });
});
