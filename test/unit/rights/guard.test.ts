/** The guard: the rule that goes for a name, and that nothing but a plain yes is one. */
import { aggregate, defineApp, projection, query, type Principal } from 'tidemark';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import type { Rights } from '../../../src/domain/rights.js';
import { createLogger, silentLogger } from '../../../src/platform/logger.js';
import { createGuard, type Guard } from '../../../src/rights/guard.js';

const Box = aggregate('box', {
  state: z.object({ owner: z.string() }),
  initial: { owner: '' },
  events: { Put: z.object({}) },
  commands: { put: z.object({}), take: z.object({}) },
})
  .evolve({ Put: (state) => state })
  .decide({ put: () => [], take: () => [] });
const Lid = aggregate('lid', {
  state: z.object({}),
  initial: {},
  events: { Shut: z.object({}) },
  commands: { shut: z.object({}) },
})
  .evolve({ Shut: (state) => state })
  .decide({ shut: () => [] });
const Boxes = projection('boxes', {
  version: 1,
  row: z.object({ id: z.string(), owner: z.string() }),
  key: 'id',
}).on(Box, { fold: { Put: (row) => row } });
const count = query('count', { input: z.object({}), output: z.int(), reads: [Boxes] }).handle(() => 0);

const ann: Principal = { id: 'ann', claims: {} };
const parts = { name: 'shelf', aggregates: [Box, Lid], projections: [Boxes], queries: [count] } as const;
type Auth = Exclude<
  Parameters<
    typeof defineApp<typeof parts.aggregates, typeof parts.projections, typeof parts.queries>
  >[0]['auth'],
  'none'
>;
const guarded = (auth: Omit<Auth, 'authenticate'>): Guard =>
  createGuard(defineApp({ ...parts, auth: { authenticate: () => ann, ...auth } }), { logger: silentLogger });

const attempt = (work: () => unknown): unknown => {
  try {
    return work();
  } catch (error) {
    return (error as { code: string }).code;
  }
};
const command = (guard: Guard, aggregateName: string, name: string): unknown =>
  attempt(() =>
    guard.mayCommand(
      ann,
      aggregateName,
      name,
    )({ command: name, streamId: 's', input: {}, state: { owner: 'ann' } }),
  );

describe('which rule goes', () => {
  it('none: refused', () => {
    const guard = guarded({});
    expect(command(guard, 'box', 'put')).toBe('forbidden');
    expect(attempt(() => guard.mayQuery(ann, 'count'))).toBe('forbidden');
    expect(attempt(() => guard.mayReadStream(ann, 'box'))).toBe('forbidden');
    expect(guard.scopeOf(ann, Boxes)).toBe(false);
    expect(guard.mayOperate(ann)).toBe(false);
  });

  it('the nearest: of the command, of the aggregate, of all', () => {
    const guard = guarded({
      commands: { box: { put: false, '*': true }, '*': ({ command: name }) => name === 'shut' },
    });
    expect(command(guard, 'box', 'put')).toBe('forbidden');
    expect(command(guard, 'box', 'take')).toBe(true);
    expect(command(guard, 'lid', 'shut')).toBe(true);
    const fallback = guarded({ commands: { box: { put: true }, '*': false } });
    expect([command(fallback, 'box', 'put'), command(fallback, 'box', 'take')]).toEqual([true, 'forbidden']);
  });

  it('of views, queries and streams by name, or of all', () => {
    const guard = guarded({
      views: { '*': ({ principal }) => ({ owner: principal.id }) },
      queries: { count: ({ principal }) => principal.id === 'ann', '*': false },
      streams: { box: false, '*': true },
      operate: ({ principal }) => principal.id === 'ann',
    });
    expect(guard.scopeOf(ann, Boxes)).toEqual({ owner: 'ann' });
    expect(guard.mayQuery(ann, 'count')({ input: {} })).toBe(true);
    expect(attempt(() => guard.mayReadStream(ann, 'box'))).toBe('forbidden');
    expect(guard.mayReadStream(ann, 'lid')({ streamId: 's', state: {} })).toBe(true);
    expect([guard.mayOperate(ann), guard.mayOperate({ id: 'eve', claims: {} })]).toEqual([true, false]);
  });

  it('off: everything is everybody’s', () => {
    const guard = createGuard({ auth: 'none' }, { logger: silentLogger });
    expect([guard.off, command(guard, 'box', 'put'), guard.scopeOf(ann, Boxes)]).toEqual([true, true, true]);
  });
});

describe('a rule that fails', () => {
  const failing: readonly unknown[] = [
    () => {
      throw new Error('broken');
    },
    () => undefined,
    () => 1,
    () => 'true',
    () => Promise.resolve(false),
    async () => true,
    () => ({}),
  ];
  it.each(failing)('%s is no yes', (rule) => {
    // As JavaScript would have it: the types forbid all of them.
    const auth = { commands: { '*': rule }, views: { '*': rule }, operate: rule } as Omit<
      Auth,
      'authenticate'
    >;
    const guard = guarded(auth);
    expect(command(guard, 'box', 'put')).toBe('rule_failed');
    expect(attempt(() => guard.scopeOf(ann, Boxes))).toBe('rule_failed');
    expect(attempt(() => guard.mayOperate(ann))).toBe('rule_failed');
  });
});

describe('who calls', () => {
  const rights = (authenticate: Rights['authenticate'], more: object = {}): Guard =>
    createGuard(defineApp({ ...parts, auth: { authenticate, ...more } }), {
      logger: silentLogger,
      timeoutMs: 50,
    });
  const ask = async (guard: Guard, token: string | undefined): Promise<unknown> => {
    try {
      return await guard.authenticate(token === undefined ? undefined : { token, via: 'bearer' });
    } catch (error) {
      return (error as { code: string }).code;
    }
  };

  it('is asked once by all who ask at the same time, and again after', async () => {
    const asked: string[] = [];
    const guard = rights(async ({ token }) => {
      asked.push(token);
      return { id: token, claims: {} };
    });
    const found = await Promise.all(['a', 'a', 'b', 'a'].map((token) => ask(guard, token)));
    expect(found).toMatchObject([{ id: 'a' }, { id: 'a' }, { id: 'b' }, { id: 'a' }]);
    expect(asked).toEqual(['a', 'b']);
    await ask(guard, 'a');
    expect(asked).toEqual(['a', 'b', 'a']);
  });

  it('without a token is the anonymous one, where there is one; with a bad one nobody', async () => {
    expect(
      await ask(
        rights(() => null),
        undefined,
      ),
    ).toBe('unauthenticated');
    const guard = rights(() => null, { anonymous: { id: 'guest', claims: {} } });
    expect(await ask(guard, undefined)).toEqual({ id: 'guest', claims: {} });
    expect(await ask(guard, 'bad')).toBe('unauthenticated');
    expect(await ask(guard, '')).toBe('unauthenticated');
    expect(await ask(guard, 'x'.repeat(20_000))).toBe('unauthenticated');
  });

  it.each([
    [{ id: 'a', claims: {}, expiresAt: 1 }, 'token_expired'],
    [{ id: 'inbound:shop', claims: {} }, 'rule_failed'],
    [{ id: '', claims: {} }, 'rule_failed'],
    [{ id: 'x'.repeat(201), claims: {} }, 'rule_failed'],
    [{ id: 7, claims: {} }, 'rule_failed'],
    [{ id: 'a' }, 'rule_failed'],
    [{ id: 'a', claims: 'all' }, 'rule_failed'],
    [{ id: 'a', claims: {}, expiresAt: 'later' }, 'rule_failed'],
    [{ id: 'a', claims: {}, expiresAt: Number.NaN }, 'rule_failed'],
    [true, 'rule_failed'],
    [undefined, 'unauthenticated'],
  ])('%j is %s', async (principal, code) => {
    expect(
      await ask(
        rights(() => principal as Principal),
        't',
      ),
    ).toBe(code);
  });

  it('cannot change while others are judged by it', async () => {
    const shared = { id: 'a', claims: {}, expiresAt: Number.POSITIVE_INFINITY };
    const found = await ask(
      rights(() => shared),
      't',
    );
    shared.id = 'b';
    expect(found).toEqual({ id: 'a', claims: {}, expiresAt: Number.MAX_SAFE_INTEGER });
    expect(found).not.toBe(shared);
  });

  it('is not known when it cannot be found out: the log says why, once, and without the token', async () => {
    const lines: string[] = [];
    const logger = createLogger({ level: 'trace', destination: { write: (line) => void lines.push(line) } });
    const guard = createGuard(
      defineApp({
        ...parts,
        auth: {
          authenticate: ({ token }) => {
            throw new Error(`GET https://id.example/?token=${encodeURIComponent(token)} and ${token} failed`);
          },
        },
      }),
      { logger },
    );
    for (const token of ['planted+secret/1', 'planted+secret/2']) {
      const error = await guard.authenticate({ token, via: 'bearer' }).catch((thrown: unknown) => thrown);
      expect(error).toMatchObject({ code: 'auth_unavailable' });
      expect((error as Error).cause).toBeUndefined();
      expect(String(error)).not.toContain('planted');
    }
    expect(lines).toHaveLength(1);
    expect(lines[0]).toContain('id.example');
    expect(lines[0]).not.toContain('planted');
  });

  it('is not waited for for ever', async () => {
    expect(
      await ask(
        rights(() => new Promise<null>(() => undefined)),
        't',
      ),
    ).toBe('auth_unavailable');
  });
});
