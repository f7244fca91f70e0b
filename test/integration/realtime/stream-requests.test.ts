/** Requests to `/realtime/sse`: what begins no stream and why, who may come from where, and whose the rows are. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { CursorPayload } from '../../../src/protocol/positions.js';
import { PROBLEMS, type Problem, type ProblemCode } from '../../../src/protocol/problems.js';
import type { Gateway } from '../../../src/realtime/gateway.js';
import { engines } from '../../support/realtime/engines.js';
import { EventClient, NoStream } from '../../support/realtime/event-client.js';
import { LiveStream, streamUrl, type Asked } from '../../support/realtime/live-stream.js';
import { Passes } from '../../support/realtime/passes.js';
import { RealtimeStack } from '../../support/realtime/stack.js';

let stack: RealtimeStack;
beforeAll(async () => {
  stack = await RealtimeStack.start();
});
afterAll(() => stack.stop());

/** What a request is refused with. */
async function refusal(url: string, headers: Record<string, string> = {}) {
  const thrown = await EventClient.open(url, { headers }).then(
    (client) => {
      client.close();
      return new Error('it was let in');
    },
    (error: unknown) => error,
  );
  if (!(thrown instanceof NoStream)) throw thrown;
  expect(thrown.headers['content-type']).toBe('application/problem+json');
  const problem = JSON.parse(thrown.body) as Problem;
  expect(problem).toMatchObject({ type: `urn:tidemark:problem:${problem.code}`, status: thrown.status });
  return { problem, headers: thrown.headers };
}

describe.each(engines)('requests for streams over $name', (engine) => {
  let gateway: Gateway;
  const own = (name: string): string => `${engine.name}-${name}`;
  const at = (query: string): string => `http://127.0.0.1:${gateway.port}/realtime/sse${query}`;

  beforeAll(async () => {
    gateway = await stack.gateway(engine);
  });

  it('are told what is wrong with them before anything begins', async () => {
    const key = 'k'.repeat(201);
    const cases: readonly (readonly [query: string, code: ProblemCode, path: string | undefined])[] = [
      ['', 'invalid_parameter', '/view'],
      ['?', 'invalid_parameter', '/view'],
      ['?view=', 'unknown_view', undefined],
      ['?view=nope', 'unknown_view', undefined],
      ['?view=board&view=board', 'invalid_parameter', '/view'],
      ['?view=board&token=very-secret', 'invalid_parameter', '/token'],
      ['?view=board&a~b%2Fc=1', 'invalid_parameter', '/a~0b~1c'],
      ['?view=board&key=%ff', 'invalid_url', undefined],
      ['?view=board&key=', 'invalid_key', undefined],
      [`?view=board&key=${key}`, 'invalid_key', undefined],
      ['?view=board&key=a&where={%22list%22:%22l%22}', 'invalid_parameter', undefined],
      ['?view=board&where=list', 'invalid_parameter', '/where'],
      ['?view=board&where=[1]', 'invalid_parameter', '/where'],
      ['?view=board&where={%22list%22:{}}', 'invalid_parameter', '/where'],
      ['?view=board&where={%22__proto__%22:1}', 'invalid_parameter', '/where'],
      ['?view=board&where={%22note%22:%22n%22}', 'invalid_parameter', '/where'],
      ['?view=board&where={%22list%22:7}', 'invalid_parameter', '/where'],
      ['?view=board&limit=many', 'invalid_parameter', '/limit'],
      ['?view=board&limit=-1', 'invalid_parameter', '/limit'],
      ['?view=board&from=made-up', 'invalid_cursor', undefined],
      ['?view=board&from={%22epoch%22:7}', 'invalid_parameter', '/from'],
      ['?view=board&from={%22epoch%22:%22a%22,%22pos%22:[[999,1]]}', 'invalid_cursor', undefined],
      [`?view=board&key=${'k'.repeat(9_000)}`, 'url_too_long', undefined],
    ];
    for (const [query, code, path] of cases) {
      const { problem } = await refusal(at(query));
      expect([query.slice(0, 100), problem.code], problem.detail).toEqual([query.slice(0, 100), code]);
      expect(problem.status).toBe(PROBLEMS[code].status);
      if (path !== undefined)
        expect(
          problem.errors?.map((fault) => fault.path),
          query,
        ).toEqual([path]);
      expect(JSON.stringify(problem)).not.toContain('very-secret');
    }
    expect(gateway.stats()).toEqual({ sockets: 0, subscriptions: 0 });
  });

  it('are GET, and another method is told so', async () => {
    for (const path of ['/realtime/sse?view=board', '/asyncapi.json']) {
      const response = await fetch(`http://127.0.0.1:${gateway.port}${path}`, { method: 'POST', body: '{}' });
      expect([response.status, response.headers.get('allow')]).toEqual([405, 'GET, OPTIONS']);
      expect(await response.json()).toMatchObject({ code: 'method_not_allowed' });
    }
    const other = await fetch(`http://127.0.0.1:${gateway.port}/realtime/sse/more`);
    expect([other.status, await other.json()]).toMatchObject([404, { code: 'route_not_found' }]);
  });

  it('come from pages of the Origin list; others are told nothing', async () => {
    const origin = 'http://localhost:5173';
    const stream = await LiveStream.live(
      gateway.port,
      { view: 'board', key: own('k') },
      { headers: { origin } },
    );
    expect(stream.client.headers).toMatchObject({ 'access-control-allow-origin': origin, vary: 'Origin' });
    expect(stream.client.headers['access-control-allow-credentials']).toBeUndefined();
    stream.client.close();
    const told = await refusal(at('?view=nope'), { origin });
    expect(told.headers['access-control-allow-origin']).toBe(origin);
    const foreign = await refusal(at('?view=board'), { origin: 'https://evil.example' });
    expect([foreign.problem.code, foreign.headers['access-control-allow-origin']]).toEqual([
      'forbidden_origin',
      undefined,
    ]);
    const rebound = await refusal(at('?view=board'), { host: 'evil.example' });
    expect(rebound.problem.code).toBe('forbidden_host');
    const preflight = await fetch(at(''), {
      method: 'OPTIONS',
      headers: {
        origin,
        'access-control-request-method': 'GET',
        'access-control-request-headers': 'authorization',
      },
    });
    expect(preflight.status).toBe(204);
    expect(preflight.headers.get('access-control-allow-headers')).toMatch(/Authorization.*Last-Event-ID/);
    expect(preflight.headers.get('access-control-allow-origin')).toBe(origin);
  });

  it('are counted as sockets are', async () => {
    const refused: string[] = [];
    const small = await stack.gateway(engine, { maxSockets: 2 }, { refused: (code) => refused.push(code) });
    const asked: Asked = { view: 'board', key: own('k') };
    const first = await LiveStream.live(small.port, asked);
    const socket = await stack.client(small);
    const { problem, headers } = await refusal(streamUrl(small.port, asked));
    expect([problem.code, refused]).toEqual(['overloaded', ['overloaded']]);
    expect(Number(headers['retry-after'])).toBeGreaterThan(0);
    await expect(stack.client(small)).rejects.toThrow(/503/);
    await socket.socket.end();
    // The server has heard of it: there is room for one that comes back before its old stream is given up.
    await expect.poll(() => small.stats().sockets).toBe(1);
    await first.comeBack(small.port);
    await first.isLive();
    first.client.close();
  });

  describe('with rights', () => {
    let passes: Passes;
    let guarded: Gateway;
    const bearer = (token: string) => ({ headers: { authorization: `Bearer ${token}` } });
    const scoped = (list: string): Asked => ({ view: 'board', where: { list } });

    beforeAll(async () => {
      passes = new Passes({ recheckMs: 100 });
      guarded = await stack.gateway(engine, { slowConsumerMs: 400 }, {}, true, { rights: passes.rights });
      passes.give('mine-token', 'me', { list: own('mine') });
      passes.give('all-token', 'boss', true);
      passes.give('none-token', 'stranger', false);
    });

    it('come with a bearer token or a cookie, and else are refused; tokens are in no answer', async () => {
      const url = streamUrl(guarded.port, scoped(own('mine')));
      const nobody = await refusal(url);
      expect([nobody.problem.code, nobody.problem.status]).toEqual(['unauthenticated', 401]);
      expect(nobody.headers['www-authenticate']).toMatch(/^Bearer/);
      for (const headers of [
        { authorization: 'Bearer wrong-token' },
        { authorization: 'Basic wrong-token' },
        { cookie: 'session=wrong-token' },
      ]) {
        const { problem } = await refusal(url, headers);
        expect(problem.code).toBe('unauthenticated');
        expect(JSON.stringify(problem)).not.toContain('wrong-token');
      }
      const byCookie = await LiveStream.live(guarded.port, scoped(own('mine')), {
        headers: { cookie: 'a=b; session=mine-token', origin: 'http://localhost:5173' },
      });
      expect(byCookie.client.headers['access-control-allow-credentials']).toBe('true');
      byCookie.client.close();
    });

    it('see their rows only, and a place of other rights is no place of theirs', async () => {
      await stack.set(own('r1'), own('mine'));
      await stack.set(own('r2'), own('theirs'));
      await stack.caughtUp();
      const other = await refusal(
        streamUrl(guarded.port, scoped(own('theirs'))),
        bearer('mine-token').headers,
      );
      expect([other.problem.code, other.problem.status]).toEqual(['forbidden', 403]);
      const none = await refusal(streamUrl(guarded.port, { view: 'board' }), bearer('none-token').headers);
      expect(none.problem.code).toBe('forbidden');

      const boss = await LiveStream.live(guarded.port, scoped(own('mine')), bearer('all-token'));
      const mine = await LiveStream.live(guarded.port, scoped(own('mine')), bearer('mine-token'));
      expect([...mine.view.rows.keys()]).toEqual([own('r1')]);
      await stack.set(own('r3'), own('mine'));
      await Promise.all([boss, mine].map((one) => one.until(() => one.view.rows.has(own('r3')))));
      const cursors = [boss, mine].map(
        ({ client }) => stack.signer.verify(client.lastEventId) as CursorPayload,
      );
      expect(cursors.map(({ bind }) => bind.scope === undefined)).toEqual([true, false]);
      expect(new Set(cursors.map(({ epoch }) => epoch)).size).toBe(1);

      await stack.set(own('r4'), own('mine'));
      await mine.comeBack(guarded.port);
      await mine.until(() => mine.view.rows.has(own('r4')) && mine.view.state === 'live');
      expect(mine.view.resets).toEqual([]);
      const stolen = await EventClient.open(streamUrl(guarded.port, scoped(own('mine'))), {
        ...bearer('mine-token'),
        lastEventId: boss.client.lastEventId,
      });
      expect((await stolen.next('reset')).id).toBe('');
      for (const client of [boss.client, mine.client, stolen]) client.close();
    });

    it('that are lost end the stream, with word to drop its rows and to forget its place', async () => {
      passes.give('short-token', 'visitor', { list: own('mine') });
      const stream = await LiveStream.live(guarded.port, scoped(own('mine')), bearer('short-token'));
      expect(stream.client.lastEventId).not.toBe('');
      passes.revoke('short-token');
      const ended = await stream.client.next('unsubbed');
      expect(JSON.parse(ended.data)).toEqual({ t: 'unsubbed', id: 's', reason: 'token_revoked', drop: true });
      expect(ended.id).toBe('');
      expect(await stream.client.ended).toBe(true);
      const back = await refusal(streamUrl(guarded.port, scoped(own('mine'))), bearer('short-token').headers);
      expect(back.problem.code).toBe('unauthenticated');
    });

    it('that become others begin the stream anew', async () => {
      passes.give('moved-token', 'mover', { list: own('mine') });
      const stream = await LiveStream.live(guarded.port, { view: 'board' }, bearer('moved-token'));
      passes.give('moved-token', 'mover', { list: own('theirs') });
      const reset = await stream.client.next('reset');
      expect([JSON.parse(reset.data), reset.id]).toEqual([
        { t: 'reset', id: 's', reason: 'rights_changed' },
        '',
      ]);
      expect(await stream.client.ended).toBe(true);
      expect(stream.client.events.at(-1)?.event).toBe('reset');
      const again = await LiveStream.live(guarded.port, { view: 'board' }, bearer('moved-token'));
      expect([...again.view.rows.keys()]).toEqual([own('r2')]);
      again.client.close();
    });
  });
});
