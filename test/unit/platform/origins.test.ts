/** Who may call from a browser: what counts as loopback, as an origin on the list, as a host of ours. */
import { describe, expect, it } from 'vitest';
import { canonicalOrigin, hostPolicy, isLoopbackHost, originPolicy } from '../../../src/platform/origins.js';

describe('isLoopbackHost', () => {
  it.each([
    'localhost',
    'LOCALHOST',
    'localhost.',
    'app.localhost',
    '127.0.0.1',
    '127.9.9.9',
    '::1',
    '[::1]',
  ])('takes %s', (host) => expect(isLoopbackHost(host)).toBe(true));
  it.each([
    'evil.com',
    'localhost.evil.com',
    '127.0.0.1.evil.com',
    '128.0.0.1',
    '0.0.0.0',
    '127.0.0.1e',
    '',
    'notlocalhost',
  ])('does not take %s', (host) => expect(isLoopbackHost(host)).toBe(false));
});

describe('originPolicy', () => {
  it('lets loopback on any port through by default, and what sends no Origin', () => {
    const policy = originPolicy();
    expect(policy.allows(undefined)).toBe(true);
    for (const origin of ['http://localhost:5173', 'http://127.0.0.1', 'https://[::1]:8443']) {
      expect(policy.allows(origin), origin).toBe(true);
    }
    for (const origin of [
      'null',
      '',
      'http://evil.com',
      'http://localhost.evil.com',
      'file://',
      'http://localhost:1/x',
    ]) {
      expect(policy.allows(origin), origin).toBe(false);
    }
  });

  it('compares exact origins in canonical form, and a list replaces the default', () => {
    const policy = originPolicy(['https://shop.example']);
    expect(policy.allows('https://shop.example:443')).toBe(true);
    expect(policy.allows('http://shop.example')).toBe(false);
    expect(policy.allows('https://shop.example:8443')).toBe(false);
    expect(policy.allows('http://localhost:3000')).toBe(false);
  });

  it('refuses a list with something else in it', () => {
    expect(() => originPolicy(['*'])).toThrow(/not an origin/);
    expect(canonicalOrigin('https://user@shop.example')).toBeUndefined();
  });
});

describe('hostPolicy', () => {
  it('answers only to loopback names when bound to loopback', () => {
    const policy = hostPolicy('127.0.0.1');
    for (const host of [undefined, 'localhost', 'localhost:3000', '[::1]:3000', '127.0.0.1:1']) {
      expect(policy.allows(host), host).toBe(true);
    }
    for (const host of [
      'evil.com',
      'evil.com:3000',
      '',
      'localhost:x',
      'localhost/../evil.com',
      '[::1',
      'a@localhost',
    ]) {
      expect(policy.allows(host), host).toBe(false);
    }
  });

  it('answers to configured names too', () => {
    const policy = hostPolicy('127.0.0.1', ['Shop.example']);
    expect(policy.allows('shop.example:3000')).toBe(true);
    expect(policy.allows('other.example')).toBe(false);
  });

  it('asks nothing where it is bound to the outside and no names are configured', () => {
    expect(hostPolicy('0.0.0.0').allows('whatever.example')).toBe(true);
    expect(hostPolicy('0.0.0.0', ['shop.example']).allows('whatever.example')).toBe(false);
  });
});
