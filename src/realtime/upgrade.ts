/** Who may open a socket, and what everyone else is told (RFC 9457). */
import { checkAccess, type HostPolicy, type OriginPolicy } from '../platform/origins.js';
import { isTidemarkError } from '../platform/errors.js';
import { SUBPROTOCOL } from '../protocol/frames.js';
import { isProblemCode, problemOf, type ProblemCode } from '../protocol/problems.js';
import type { Refusal, SocketRequest } from './sockets/port.js';

const REALTIME_PATH = '/realtime';

interface Access {
  readonly origins: OriginPolicy;
  readonly hosts: HostPolicy;
}

function refusal(code: ProblemCode, detail: string, headers: Readonly<Record<string, string>> = {}): Refusal {
  const problem = problemOf(code, detail);
  return {
    status: problem.status,
    headers: { 'content-type': 'application/problem+json', ...headers },
    body: JSON.stringify(problem),
  };
}

function accessFault(request: SocketRequest, access: Access): Refusal | undefined {
  try {
    checkAccess(access, { host: request.host, origin: request.origin });
    return undefined;
  } catch (error) {
    if (!isTidemarkError(error) || !isProblemCode(error.code)) throw error;
    return refusal(error.code, error.message);
  }
}

const notFound = (path: string): Refusal =>
  refusal(
    'route_not_found',
    `there is no ${path.slice(0, 100)} here; the realtime socket is at ${REALTIME_PATH}`,
  );

/**
 * A client that offers no subprotocol is let in and spoken to in `tidemark.v1`; one that offers only others is not, as
 * it would not understand us.
 */
export function decideUpgrade(
  request: SocketRequest,
  access: Access,
  stopping: boolean,
): { readonly protocol: string | undefined } | Refusal {
  const fault = accessFault(request, access);
  if (fault) return fault;
  if (request.path !== REALTIME_PATH) return notFound(request.path);
  if (stopping) return refusal('not_ready', 'the server stops', { 'retry-after': '1' });
  if (request.protocols.length === 0) return { protocol: undefined };
  if (request.protocols.includes(SUBPROTOCOL)) return { protocol: SUBPROTOCOL };
  return refusal('invalid_header', `Sec-WebSocket-Protocol: expected ${SUBPROTOCOL} among those offered`);
}

/** Plain HTTP on the realtime port. */
export function answerPlain(request: SocketRequest, access: Access): Refusal {
  const fault = accessFault(request, access);
  if (fault) return fault;
  if (request.path !== REALTIME_PATH) return notFound(request.path);
  return refusal('upgrade_required', `${REALTIME_PATH} is a WebSocket; ask for an upgrade`, {
    upgrade: 'websocket',
  });
}
