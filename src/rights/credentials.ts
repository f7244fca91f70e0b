/** What a caller shows, taken from the headers of a request. A token in a URL is never read: URLs stand in logs. */
import type { Credentials } from '../domain/rights.js';
import { TidemarkError } from '../platform/errors.js';

/** `b64token` of RFC 6750, section 2.1. The name of the scheme may be in any case (RFC 9110, section 11.1). */
const BEARER = /^bearer +([A-Za-z0-9\-._~+/]+=*)$/i;

/** @throws TidemarkError `unauthenticated`; the text never has anything of the token */
const unread = (what: string): never => {
  throw new TidemarkError('unauthenticated', what);
};

/** The value of a cookie as it stands there, without quotes; undefined where there is none, or an empty one. */
function cookieIn(header: string | undefined, name: string): string | undefined {
  const values = (header ?? '').split(';').flatMap((pair) => {
    const equals = pair.indexOf('=');
    if (equals < 0 || pair.slice(0, equals).trim() !== name) return [];
    return [
      pair
        .slice(equals + 1)
        .trim()
        .replace(/^"(.*)"$/, '$1'),
    ];
  });
  // Another host of the domain can set one of the same name (RFC 6265, section 8.6), and which is ours cannot be told.
  if (new Set(values).size > 1) return unread(`the cookie ${name} stands there twice`);
  return values[0] === '' ? undefined : values[0];
}

/**
 * The bearer token, or the one of the cookie; a header that names a token is never passed over for a cookie.
 * @param cookie name of the cookie that may hold it
 * @returns undefined where the caller shows nothing
 * @throws TidemarkError `unauthenticated` where what is shown cannot be read
 */
export function credentialsIn(
  headers: { readonly authorization?: string | undefined; readonly cookie?: string | undefined },
  cookie: string | undefined,
): Credentials | undefined {
  const { authorization } = headers;
  if (authorization !== undefined) {
    const [, token] = BEARER.exec(authorization.trim()) ?? [];
    if (token === undefined) return unread('Authorization: expected `Bearer` and a token');
    return { token, via: 'bearer' };
  }
  const token = cookie === undefined ? undefined : cookieIn(headers.cookie, cookie);
  return token === undefined ? undefined : { token, via: 'cookie' };
}
