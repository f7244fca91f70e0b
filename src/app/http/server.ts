/**
 * The HTTP server that rooms hang their routes on: bodies, limits, CORS, Host check, request ids, problem+json for every
 * error there is (fastify's own, the parser's, and whatever a room throws).
 */
import { Server } from 'node:http';
import { fastify, type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import { newId } from '../../platform/ids.js';
import { TidemarkError } from '../../platform/errors.js';
import type { Logger } from '../../platform/logger.js';
import { addCorsHeaders, admit, answerPreflight, isPreflight, type AccessPolicies } from './access.js';
import { brokenRequestHandler, passOverExpectations, refuseTunnels } from './broken-requests.js';
import { useJsonBodies } from './json-body.js';
import { MAX_URL_CHARS } from './limits.js';
import { PROBLEM_MEDIA_TYPE, problemFor, toProblem } from './problem-answers.js';
import { RouteTable } from './route-table.js';

export interface HttpServerOptions {
  readonly logger: Logger;
  readonly access: AccessPolicies;
  /** Whose `X-Forwarded-*` headers are believed: everyone, nobody, or addresses and CIDR ranges. */
  readonly trustProxy?: boolean | readonly string[];
  /** Bytes of a body at the most; 1 MiB by default. */
  readonly bodyLimit?: number;
  /** Milliseconds that a client may take to send its whole request. */
  readonly requestTimeoutMs?: number;
  /** Called after each answer. */
  readonly observe?: (answer: HttpAnswer) => void;
}

export interface HttpAnswer {
  readonly method: string;
  /** The pattern of the route (not the path, which has no end of values), or `unmatched`. */
  readonly route: string;
  readonly status: number;
  readonly seconds: number;
}

const MIB = 1024 * 1024;
/** A stream id has up to 200 code points, each at most 12 characters when percent-encoded. */
const MAX_PARAM_CHARS = 200 * 12;
const MAX_HEADER_BYTES = 32 * 1024;
const KEEP_ALIVE_MS = 72_000;

export function createHttpServer(options: HttpServerOptions): FastifyInstance {
  const { access, logger } = options;
  const routes = new RouteTable();
  const fail = (thrown: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply =>
    answerProblem(logger, thrown, request, reply);
  const server = fastify({
    bodyLimit: options.bodyLimit ?? MIB,
    requestTimeout: options.requestTimeoutMs ?? 30_000,
    keepAliveTimeout: KEEP_ALIVE_MS,
    forceCloseConnections: 'idle',
    return503OnClosing: false,
    trustProxy: trusted(options.trustProxy),
    genReqId: () => newId(),
    // Without Node’s own check of `Host`, whose answer has no body; `admit` does it.
    http: {
      maxHeaderSize: MAX_HEADER_BYTES,
      requireHostHeader: false,
      headersTimeout: 15_000,
      connectionsCheckingInterval: 5_000,
    },
    routerOptions: { maxParamLength: MAX_PARAM_CHARS },
    clientErrorHandler: brokenRequestHandler(routes),
    frameworkErrors: (error, request, reply) => {
      // Hooks do not run for these.
      begin(request, reply, access);
      void fail(error, request, reply);
    },
  });
  routes.follow(server);
  if (server.server instanceof Server) {
    refuseTunnels(server.server, routes);
    passOverExpectations(server.server);
  }
  useJsonBodies(server);
  server.setErrorHandler(fail);
  // Only what a route itself gives up comes here (a static file that is not there); the rest is `answerUnknown`’s.
  server.setNotFoundHandler((request) => {
    throw routeNotFound(request.raw.url ?? '');
  });
  server.addHook('onRequest', (request, reply, done) => {
    begin(request, reply, access);
    admit(access, request);
    if (!request.is404) checkUrl(request.raw.url ?? '');
    if (isPreflight(request)) void answerPreflight(reply, routes.allowed(request.raw.url ?? ''));
    else if (request.is404) void answerUnknown(request, reply, routes);
    else done();
  });
  closeWhenDraining(server);
  server.addHook('onResponse', (request, reply, done) => {
    observeAnswer(options, request, reply);
    done();
  });
  return server;
}

/** Whatever is still answered while the server drains ends its connection, which would stay open for the next request. */
function closeWhenDraining(server: FastifyInstance): void {
  let draining = false;
  server.addHook('preClose', (done) => {
    draining = true;
    done();
  });
  server.addHook('onSend', (_request, reply, _payload, done) => {
    if (draining) reply.header('connection', 'close');
    done();
  });
}

function begin(request: FastifyRequest, reply: FastifyReply, access: AccessPolicies): void {
  reply.header('x-request-id', request.id).header('x-content-type-options', 'nosniff');
  addCorsHeaders(access, request, reply);
}

function trusted(option: HttpServerOptions['trustProxy']): boolean | string[] {
  return typeof option === 'object' ? [...option] : (option ?? false);
}

/** fastify lets a malformed query pass as it is, and bytes beyond ASCII as Latin-1. */
function checkUrl(url: string): void {
  if (url.length > MAX_URL_CHARS) {
    throw new TidemarkError(
      'url_too_long',
      `the URL has ${url.length} characters, the limit is ${MAX_URL_CHARS}`,
    );
  }
  if (/[^\x21-\x7e]/.test(url)) {
    throw new TidemarkError('invalid_url', 'the URL has characters that must be percent-encoded');
  }
  if (!url.includes('%')) return;
  try {
    decodeURIComponent(url);
  } catch {
    throw new TidemarkError('invalid_url', 'the URL has percent-encoding that is not UTF-8');
  }
}

const routeNotFound = (url: string): TidemarkError =>
  new TidemarkError('route_not_found', `there is no route ${url.split('?', 1)[0]?.slice(0, 200) ?? ''}`);

/** No such path, or no such method on it. Decided before the body is read. */
function answerUnknown(request: FastifyRequest, reply: FastifyReply, routes: RouteTable): FastifyReply {
  const url = request.raw.url ?? '';
  checkUrl(url);
  const methods = routes.allowed(url);
  if (methods.length === 0) {
    throw routeNotFound(url);
  }
  reply.header('allow', methods.join(', '));
  if (request.method === 'OPTIONS') return reply.code(204).header('content-length', '0').send();
  throw new TidemarkError('method_not_allowed', `the path knows ${methods.join(', ')}`);
}

function answerProblem(
  logger: Logger,
  thrown: unknown,
  request: FastifyRequest,
  reply: FastifyReply,
): FastifyReply {
  const { problem, headers, unexpected } = goneAway(request)
    ? problemFor('request_aborted')
    : toProblem(thrown, request.id);
  const about = {
    requestId: request.id,
    method: request.method,
    route: routeOf(request),
    code: problem.code,
  };
  if (unexpected) logger.error({ ...about, err: thrown }, 'request failed');
  return reply
    .code(problem.status)
    .headers({ ...headers, 'cache-control': 'no-store' })
    .type(PROBLEM_MEDIA_TYPE)
    .send(Buffer.from(JSON.stringify(problem)));
}

/** The client hung up before its body was there: nobody reads the answer, and nothing here failed. */
const goneAway = (request: FastifyRequest): boolean => request.raw.destroyed && !request.raw.complete;

const routeOf = (request: FastifyRequest): string => request.routeOptions.url ?? 'unmatched';

function observeAnswer(options: HttpServerOptions, request: FastifyRequest, reply: FastifyReply): void {
  const seconds = reply.elapsedTime / 1_000;
  const answer = { method: request.method, route: routeOf(request), status: reply.statusCode, seconds };
  options.observe?.(answer);
  options.logger.debug({ requestId: request.id, ...answer }, 'request answered');
}
