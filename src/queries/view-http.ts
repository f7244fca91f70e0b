/** HTTP routes of views. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { AnyProjection } from '../domain/projection.js';
import type { RowScope } from '../domain/rights.js';
import { TidemarkError } from '../platform/errors.js';
import { forbidden, type Guard } from '../rights/guard.js';
import type { CallerOf } from '../rights/http.js';
import { clientGone } from './client-http.js';
import { parseListRequest } from './list-request.js';
import { fault, invalidParameter, parametersOf, type Parameters } from './parameters.js';
import { afterIn, readAfter, type ReadAfter } from './read-after.js';
import type { Directives } from '../projections/types.js';
import { checkKey, type Views } from './views.js';

export interface ViewRouteDeps extends ReadAfter {
  readonly views: Views;
  readonly guard: Guard;
  readonly callerOf: CallerOf;
  /** Where keys are known to be parked, a read that would wait looks first. */
  readonly directives?: Pick<Directives, 'facts'>;
}

/** What was read does not have an event that could not be folded. */
export const PARKED_HEADER = 'tidemark-parked';
const ROW_PARAMETERS = ['after', 'wait'];

function checkRowParameters(parameters: Parameters): void {
  const unknown = [...parameters.keys()].filter((name) => !ROW_PARAMETERS.includes(name));
  if (unknown.length > 0) {
    const message = `unknown parameter; known are ${ROW_PARAMETERS.join(', ')}`;
    throw invalidParameter(unknown.map((name) => fault(name, message)));
  }
}

/**
 * Whether `If-None-Match` names the tag: a list of tags, compared weakly, or `*`.
 * Source: RFC 9110, section 13.1.2.
 */
function matchesTag(header: string | undefined, etag: string): boolean {
  if (header === undefined) return false;
  if (header.trim() === '*') return true;
  return [...header.matchAll(/(?:W\/)?("[^"]*")/g)].some(([, tag]) => tag === etag);
}

/** The row does not get what the token names before somebody acts. */
function rowParked(reply: FastifyReply, view: string): TidemarkError {
  reply.header(PARKED_HEADER, 'true');
  return new TidemarkError(
    'row_parked',
    `the row of ${view} stands still, as an event of it could not be folded`,
    {
      retryAfter: 30,
    },
  );
}

/** @throws TidemarkError `forbidden` where no row is theirs, `rule_failed` */
function scopeOf(deps: ViewRouteDeps, request: FastifyRequest, projection: AnyProjection): RowScope {
  const scope = deps.guard.scopeOf(deps.callerOf(request), projection);
  if (scope === false) throw forbidden(`view ${projection.name}`);
  return scope;
}

/** Where callers see different rows, a cache that they share must not keep one’s for another. */
const cacheControl = ({ guard }: ViewRouteDeps): string => (guard.off ? 'no-cache' : 'private, no-cache');

async function answerRow(
  deps: ViewRouteDeps,
  request: FastifyRequest<{ Params: { projection: string; key: string } }>,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const { views } = deps;
  const { projection, key } = request.params;
  const parameters = parametersOf(request.query);
  const definition = views.projection(projection);
  const scope = scopeOf(deps, request, definition);
  checkKey(key);
  checkRowParameters(parameters);
  const waits = parameters.has('after');
  if (waits && (deps.directives?.facts(projection)?.parkedKeys ?? 0) > 0) {
    // What is no token is told as such first.
    afterIn(deps.signer, parameters);
    const { parked } = await views.row(definition, key, scope);
    if (parked) throw rowParked(reply, definition.name);
  }
  await readAfter(deps, [definition], parameters, () => clientGone(reply));
  const { row, cursor, parked } = await views.row(definition, key, scope);
  if (parked && waits) throw rowParked(reply, definition.name);
  if (parked) reply.header(PARKED_HEADER, 'true');
  if (cursor !== undefined) reply.header('tidemark-cursor', cursor);
  if (!row) throw new TidemarkError('row_not_found', `${projection} has no row of this key`);
  reply.header('etag', row.etag).header('cache-control', cacheControl(deps));
  if (matchesTag(request.headers['if-none-match'], row.etag)) return reply.code(304).send();
  return reply.type('application/json').send(row.json);
}

async function answerList(
  deps: ViewRouteDeps,
  request: FastifyRequest<{ Params: { projection: string } }>,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const { views } = deps;
  const { projection } = request.params;
  const parameters = parametersOf(request.query);
  const definition = views.projection(projection);
  const scope = scopeOf(deps, request, definition);
  const asked = parseListRequest(definition, parameters);
  await readAfter(deps, [definition], parameters, () => clientGone(reply));
  const { json, cursor, parked } = await views.list(definition, asked, scope);
  if (parked) reply.header(PARKED_HEADER, 'true');
  if (cursor !== undefined) reply.header('tidemark-cursor', cursor);
  return reply.header('cache-control', cacheControl(deps)).type('application/json').send(json);
}

export function registerViewRoutes(fastify: FastifyInstance, deps: ViewRouteDeps): void {
  fastify.get<{ Params: { projection: string; key: string } }>('/views/:projection/:key', (request, reply) =>
    answerRow(deps, request, reply),
  );
  fastify.get<{ Params: { projection: string } }>('/views/:projection', (request, reply) =>
    answerList(deps, request, reply),
  );
}
