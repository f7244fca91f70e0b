/** Whose address counts: the same as fastify's `trustProxy` says for HTTP, so that both servers of a process agree. */
import fc from 'fast-check';
import fastify, { type FastifyInstance } from 'fastify';
import { afterAll, describe, expect, it } from 'vitest';
import { canonicalAddress, clientAddresses, isProxyRange } from '../../../src/platform/proxies.js';

describe('an address', () => {
  it.each([
    ['10.0.0.1', '10.0.0.1'],
    ['10.0.0.1:4711', '10.0.0.1'],
    ['::ffff:10.0.0.1', '10.0.0.1'],
    ['0000:0000:0000:0000:0000:ffff:0a00:0001', '10.0.0.1'],
    ['2001:0DB8:0000:0000:0000:0000:0000:0001', '2001:db8::1'],
    ['[2001:db8::1]:443', '2001:db8::1'],
    ['fe80::1%eth0', 'fe80::1'],
    ['unknown', 'unknown'],
    ['x'.repeat(1_000), 'x'.repeat(64)],
  ])('%.60s', (text, expected) => {
    expect(canonicalAddress(text)).toBe(expected);
  });

  it.each(['10.0.0.1', '10.0.0.0/8', '::1', 'fc00::/7', 'loopback', 'LinkLocal', 'uniquelocal'])(
    '%s may be trusted',
    (range) => {
      expect(isProxyRange(range)).toBe(true);
      expect(() => clientAddresses([range])).not.toThrow();
    },
  );

  it.each(['', '10.0.0.256', '10.0.0.0/33', '::1/129', '10.0.0.0/8/8', '10.0.0.0/x', 'everyone', 'true'])(
    '%s may not',
    (range) => {
      expect(isProxyRange(range)).toBe(false);
      expect(() => clientAddresses([range])).toThrow(RangeError);
    },
  );
});

describe('X-Forwarded-For', () => {
  const servers: FastifyInstance[] = [];
  afterAll(() => Promise.all(servers.map((server) => server.close())));
  const trusts: readonly (boolean | string[])[] = [
    false,
    true,
    ['loopback'],
    ['10.0.0.0/8', '::1'],
    ['loopback', 'uniquelocal', '203.0.113.7'],
  ];

  it.each(trusts.map((trust) => [JSON.stringify(trust), trust] as const))(
    'with %s trusted',
    async (_name, trust) => {
      const server = fastify({ trustProxy: trust });
      servers.push(server);
      server.get('/', (request) => request.ip);
      const address = fc.constantFrom(
        '127.0.0.1',
        '10.1.2.3',
        '::1',
        '203.0.113.7',
        '203.0.113.8',
        'fd00::5',
      );
      const ours = clientAddresses(trust);
      await fc.assert(
        fc.asyncProperty(address, fc.array(address, { maxLength: 4 }), async (peer, hops) => {
          const forwarded = hops.length === 0 ? undefined : hops.join(', ');
          const theirs = await server.inject({
            url: '/',
            remoteAddress: peer,
            headers: forwarded === undefined ? {} : { 'x-forwarded-for': forwarded },
          });
          expect(ours(peer, forwarded)).toBe(theirs.body);
        }),
        { numRuns: 100 },
      );
    },
  );
});
