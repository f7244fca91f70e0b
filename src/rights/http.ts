/** Who sends an HTTP request: asked before its body is read. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Principal } from '../domain/rights.js';
import { isTidemarkError, TidemarkError } from '../platform/errors.js';
import { credentialsIn } from './credentials.js';
import type { Guard } from './guard.js';

/** The principal of a request whose hooks have run. */
export type CallerOf = (request: FastifyRequest) => Principal;

/** RFC 6750, section 3: no error is named to who showed nothing. */
const CHALLENGES: Readonly<Record<string, string>> = {
  nothing: 'Bearer',
  unauthenticated: 'Bearer error="invalid_token", error_description="The token is not valid"',
  token_expired: 'Bearer error="invalid_token", error_description="The token has expired"',
};

function challenge(reply: FastifyReply, shown: boolean, thrown: unknown): void {
  if (!isTidemarkError(thrown)) return;
  const header = CHALLENGES[!shown && thrown.code === 'unauthenticated' ? 'nothing' : thrown.code];
  if (header !== undefined) reply.header('www-authenticate', header);
}

/** Node keeps the first of several in silence, and a proxy before it may have gone by another. */
function checkSingle(request: FastifyRequest): void {
  const { rawHeaders } = request.raw;
  const names = rawHeaders.filter(
    (_text, at) => at % 2 === 0 && rawHeaders[at]?.toLowerCase() === 'authorization',
  );
  if (names.length < 2) return;
  const faults = [{ path: '/authorization', message: 'expected once' }];
  throw new TidemarkError('invalid_header', 'a header stands there twice', { faults });
}

/**
 * Asks `guard` who calls, for every route that is hung on `server` from here on; call it within `register`.
 * @returns the principal of a request, for its handler
 */
export function authenticated(server: FastifyInstance, guard: Guard): CallerOf {
  const { anonymous } = guard;
  if (guard.off && anonymous) return () => anonymous;
  const callers = new WeakMap<FastifyRequest, Principal>();
  server.addHook('onRequest', async (request, reply) => {
    let shown = true;
    try {
      checkSingle(request);
      const credentials = credentialsIn(request.headers, guard.cookie);
      shown = credentials !== undefined;
      callers.set(request, await guard.authenticate(credentials));
    } catch (thrown) {
      challenge(reply, shown, thrown);
      throw thrown;
    }
  });
  return (request) => {
    const principal = callers.get(request);
    if (!principal) throw new TidemarkError('internal_error', 'a request was not authenticated');
    return principal;
  };
}
