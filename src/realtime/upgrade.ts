/** Who may open a socket, and what everyone else is told (RFC 9457). */
import { checkAccess, type HostPolicy, type OriginPolicy } from '../platform/origins.js';
import { isTidemarkError } from '../platform/errors.js';
import { SUBPROTOCOL } from '../protocol/frames.js';
import { isProblemCode, problemOf, type ProblemCode } from '../protocol/problems.js';
import type { Admission } from './access/admission.js';
import { callerOf, type CallerOptions } from './access/caller.js';
import { REALTIME_PATH } from './paths.js';
import type { Admitted, Caller, Refusal, SocketRequest } from './sockets/port.js';

export interface Access extends CallerOptions {
  readonly origins: OriginPolicy;
  readonly hosts: HostPolicy;
  readonly admission: Admission;
  /** True once the gateway stops. */
  stopping(): boolean;
  /** Told of everyone who is not let in. */
  refused(code: ProblemCode): void;
}

interface Problem extends Refusal {
  readonly code: ProblemCode;
}

function refusal(code: ProblemCode, detail: string, headers: Readonly<Record<string, string>> = {}): Problem {
  const problem = problemOf(code, detail);
  return {
    code,
    status: problem.status,
    headers: { 'content-type': 'application/problem+json', ...headers },
    body: JSON.stringify(problem),
  };
}

/** Whether the request's Host and Origin are ours to answer. */
export function accessFault(request: SocketRequest, access: Access): Problem | undefined {
  try {
    checkAccess(access, { host: request.host, origin: request.origin });
    return undefined;
  } catch (error) {
    if (!isTidemarkError(error) || !isProblemCode(error.code)) throw error;
    return refusal(error.code, error.message);
  }
}

const notFound = (path: string): Problem =>
  refusal(
    'route_not_found',
    `there is no ${path.slice(0, 100)} here; the realtime socket is at ${REALTIME_PATH}`,
  );

/** Seconds after which one may come back, each another, so that those who were refused don't come together. */
const retryAfter = (): Readonly<Record<string, string>> => ({
  'retry-after': String(1 + Math.floor(Math.random() * 5)),
});

const FULL = {
  overloaded: 'this process has as many sockets as it may',
  too_many_connections: 'there are as many sockets of your address as there may be',
} as const;

function readCaller(request: SocketRequest, access: Access): Caller | Problem {
  try {
    return callerOf(request, access);
  } catch (error) {
    if (!isTidemarkError(error, 'unauthenticated')) throw error;
    return refusal('unauthenticated', error.message, { 'www-authenticate': 'Bearer' });
  }
}

/**
 * Whether a socket, or a stream that behaves as one, may be opened now, and for whom.
 * @returns the caller, or the answer that refuses it
 */
export function admit(request: SocketRequest, access: Access): Caller | Problem {
  if (access.stopping()) return refusal('not_ready', 'the server stops', { 'retry-after': '1' });
  const caller = readCaller(request, access);
  if ('status' in caller) return caller;
  const full = access.admission.refusal(caller.address);
  return full === undefined ? caller : refusal(full, FULL[full], retryAfter());
}

/**
 * A client that offers no subprotocol is let in and spoken to in `tidemark.v1`; one that offers only others is not, as
 * it would not understand us.
 */
function decide(request: SocketRequest, access: Access): Admitted | Problem {
  const fault = accessFault(request, access);
  if (fault) return fault;
  if (request.path !== REALTIME_PATH) return notFound(request.path);
  const { protocols } = request;
  if (protocols.length > 0 && !protocols.includes(SUBPROTOCOL))
    return refusal('invalid_header', `Sec-WebSocket-Protocol: expected ${SUBPROTOCOL} among those offered`);
  const caller = admit(request, access);
  if ('status' in caller) return caller;
  return { protocol: protocols.length === 0 ? undefined : SUBPROTOCOL, caller };
}

export function decideUpgrade(request: SocketRequest, access: Access): Admitted | Refusal {
  const decision = decide(request, access);
  if ('status' in decision) access.refused(decision.code);
  return decision;
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
