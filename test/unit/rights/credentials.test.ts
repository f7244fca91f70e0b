/** What is read of a request, and what is not. */
import { describe, expect, it } from 'vitest';
import { credentialsIn } from '../../../src/rights/credentials.js';

const read = (headers: { authorization?: string; cookie?: string }, cookie?: string): unknown => {
  try {
    return credentialsIn(headers, cookie);
  } catch (error) {
    return (error as { code: string }).code;
  }
};

describe('a bearer token', () => {
  it.each(['Bearer aB.-_~+/9==', 'bearer aB.-_~+/9==', 'BEARER   aB.-_~+/9==', ' BeArEr aB.-_~+/9== '])(
    '%s',
    (text) => expect(read({ authorization: text })).toEqual({ token: 'aB.-_~+/9==', via: 'bearer' }),
  );

  it.each([
    '',
    'Bearer',
    'Bearer ',
    'Bearer a b',
    'Bearer a,b',
    'Basic eDp5',
    'a.b.c',
    'Bearera',
    'Bearer ä',
    'Bearer =a',
  ])('is not "%s", and the cookie is not taken in its place', (authorization) =>
    expect(read({ authorization, cookie: 's=x' }, 's')).toBe('unauthenticated'),
  );

  it('is said of nothing when it cannot be read', () => {
    expect(() => credentialsIn({ authorization: 'Basic planted-secret' }, undefined)).toThrow(
      /^(?!.*planted)/,
    );
  });
});

describe('a cookie', () => {
  it.each([
    ['s=x', 'x'],
    ['a=1; s=x; b=2', 'x'],
    ['s="x"', 'x'],
    ['s=x=y', 'x=y'],
    ['ss=no; s=x', 'x'],
    ['s=x; s=x', 'x'],
  ])('%s', (cookie, token) => expect(read({ cookie }, 's')).toEqual({ token, via: 'cookie' }));

  it.each(['', 's', 's=', 's=""', 'S=x', 't=s=x'])('is not in "%s"', (cookie) =>
    expect(read({ cookie }, 's')).toBeUndefined(),
  );

  it('is not looked for where none was named', () => expect(read({ cookie: 's=x' })).toBeUndefined());
  it('must be one: another host of the domain may have set the second', () =>
    expect(read({ cookie: 's=x; s=y' }, 's')).toBe('unauthenticated'));
  it('stands behind a bearer token', () =>
    expect(read({ authorization: 'Bearer a', cookie: 's=x' }, 's')).toEqual({ token: 'a', via: 'bearer' }));
});
