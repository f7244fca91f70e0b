/** HTTP routes of named queries. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { clientGone } from './client-http.js';
import type { CallerOf } from '../rights/http.js';
import type { NamedQueries, QueryInput } from './named-queries.js';
import { fault, invalidParameter, parametersOf, type Parameters } from './parameters.js';
import { readAfter, type ReadAfter } from './read-after.js';
import { PARKED_HEADER } from './view-http.js';

export interface QueryRouteDeps extends ReadAfter {
  readonly queries: NamedQueries;
  readonly callerOf: CallerOf;
}

type QueryRequest = FastifyRequest<{ Params: { name: string } }>;

async function answer(
  deps: QueryRouteDeps,
  request: QueryRequest,
  reply: FastifyReply,
  parameters: Parameters,
  input: QueryInput,
): Promise<FastifyReply> {
  const { name } = request.params;
  const query = deps.queries.prepare(name, input, deps.callerOf(request));
  await readAfter(deps, query.reads, parameters, () => clientGone(reply));
  const { json, parked } = await query.run();
  if (parked) reply.header(PARKED_HEADER, 'true');
  return reply.header('cache-control', 'no-cache').type('application/json').send(json);
}

/** A POST has its input in the body; its URL only says what to wait for. */
function checkPostParameters(parameters: Parameters): void {
  const unknown = [...parameters.keys()].filter((name) => name !== 'after' && name !== 'wait');
  if (unknown.length > 0) {
    throw invalidParameter(
      unknown.map((name) => fault(name, 'unknown parameter; known are after, wait; the input is the body')),
    );
  }
}

export function registerQueryRoutes(fastify: FastifyInstance, deps: QueryRouteDeps): void {
  fastify.get<{ Params: { name: string } }>('/queries/:name', async (request, reply) => {
    const parameters = parametersOf(request.query);
    return answer(deps, request, reply, parameters, { from: 'parameters', parameters });
  });
  fastify.post<{ Params: { name: string } }>('/queries/:name', async (request, reply) => {
    const parameters = parametersOf(request.query);
    checkPostParameters(parameters);
    return answer(deps, request, reply, parameters, { from: 'body', body: request.body });
  });
}
