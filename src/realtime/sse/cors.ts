/** CORS of plain HTTP on the realtime port: the same Origin list as for sockets, whose check comes before. */
import type { Refusal, SocketRequest } from '../sockets/port.js';

const PREFLIGHT_SECONDS = '600';
const ALLOWED_HEADERS = 'Accept, Authorization, Cache-Control, Last-Event-ID, traceparent, tracestate';

/**
 * @param request of an Origin that is allowed
 * @param credentials browsers may send their cookies along
 */
export function corsHeaders(request: SocketRequest, credentials: boolean): Readonly<Record<string, string>> {
  const { origin } = request;
  if (origin === undefined) return { vary: 'Origin' };
  return {
    vary: 'Origin',
    'access-control-allow-origin': origin,
    'access-control-expose-headers': 'Retry-After',
    ...(credentials ? { 'access-control-allow-credentials': 'true' } : {}),
  };
}

/** The answer to `OPTIONS`, a preflight or not. */
export const optionsAnswer = (cors: Readonly<Record<string, string>>): Refusal => ({
  status: 204,
  headers: {
    allow: 'GET, OPTIONS',
    'access-control-allow-methods': 'GET, OPTIONS',
    'access-control-allow-headers': ALLOWED_HEADERS,
    'access-control-max-age': PREFLIGHT_SECONDS,
    ...cors,
  },
  body: '',
});
