/** CORS and the Host check, before anything else looks at a request. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import { TidemarkError } from '../../platform/errors.js';
import { checkAccess, type HostPolicy, type OriginPolicy } from '../../platform/origins.js';

export interface AccessPolicies {
  readonly origins: OriginPolicy;
  readonly hosts: HostPolicy;
  /** Whether a page of another origin on the list may send cookies along: where one holds the token. */
  readonly credentials?: boolean;
}

const EXPOSED = 'ETag, Tidemark-Cursor, Retry-After, Tidemark-Parked, X-Request-Id';
const ALLOWED_HEADERS =
  'Accept, Authorization, Content-Type, Idempotency-Key, If-Match, If-None-Match, Last-Event-ID, traceparent, tracestate';
const PREFLIGHT_SECONDS = '600';

/** Puts the CORS headers on an answer. `Vary` always: another Origin, another answer. */
export function addCorsHeaders(policies: AccessPolicies, request: FastifyRequest, reply: FastifyReply): void {
  reply.header('vary', 'Origin');
  const { origin } = request.headers;
  if (origin === undefined || !policies.origins.allows(origin)) return;
  reply.header('access-control-allow-origin', origin).header('access-control-expose-headers', EXPOSED);
  if (policies.credentials === true) reply.header('access-control-allow-credentials', 'true');
}

export const isPreflight = (request: FastifyRequest): boolean =>
  request.method === 'OPTIONS' &&
  request.headers.origin !== undefined &&
  request.headers['access-control-request-method'] !== undefined;

declare module 'fastify' {
  interface FastifyContextConfig {
    /** A file of the page: public, so that it is served whatever the Origin is; answers of the API are not. */
    isPublic?: boolean;
  }
}

/** @throws TidemarkError `invalid_header` without a Host (RFC 9112 asks for it), `forbidden_host`, `forbidden_origin` */
export function admit(policies: AccessPolicies, request: FastifyRequest): void {
  if (request.raw.headers.host === undefined && request.raw.httpVersion === '1.1') {
    throw new TidemarkError('invalid_header', 'the Host header is missing', {
      faults: [{ path: '/host', message: 'expected the header' }],
    });
  }
  // Browsers send it with `<script crossorigin>`, as builds write, also to the very server that the page is of.
  const origin = request.routeOptions.config.isPublic === true ? undefined : request.headers.origin;
  checkAccess(policies, { host: request.raw.headers.host, origin });
}

/** Answers a preflight: which methods the path knows. */
export function answerPreflight(reply: FastifyReply, methods: readonly string[]): FastifyReply {
  return reply
    .code(204)
    .header('access-control-allow-methods', methods.join(', '))
    .header('access-control-allow-headers', ALLOWED_HEADERS)
    .header('access-control-max-age', PREFLIGHT_SECONDS)
    .header('content-length', '0')
    .send();
}
