/** `GET /streams/{aggregate}/{id}` and `GET /streams/{aggregate}/{id}/state`. */
import type { FastifyInstance } from 'fastify';
import type { AnyApp } from '../domain/app.js';
import type { EventStore } from '../event-store/types.js';
import { aggregateOf, checkStreamId } from './lookup.js';
import { parseHistoryQuery, parseStateQuery } from './stream-parameters.js';
import { StreamReader } from './stream-reader.js';
import { versionTag } from './request-headers.js';

export interface StreamRouteDeps {
  readonly app: AnyApp;
  readonly store: EventStore;
}

interface StreamRoute {
  Params: { aggregate: string; id: string };
  Querystring: Record<string, unknown>;
}

export function registerStreamRoutes(server: FastifyInstance, deps: StreamRouteDeps): void {
  const reader = new StreamReader(deps.store);

  server.get<StreamRoute>('/streams/:aggregate/:id', async (request, reply) => {
    const { id } = request.params;
    const aggregate = aggregateOf(deps.app, request.params.aggregate);
    checkStreamId(id);
    const { from, limit } = parseHistoryQuery(request.query);
    const { items, next } = await reader.history(aggregate, id, from, limit);
    return reply
      .header('cache-control', 'no-store')
      .type('application/json; charset=utf-8')
      .send(`{"items":[${items.join(',')}],"next":${String(next)}}`);
  });

  server.get<StreamRoute>('/streams/:aggregate/:id/state', async (request, reply) => {
    const { id } = request.params;
    const aggregate = aggregateOf(deps.app, request.params.aggregate);
    checkStreamId(id);
    const at = parseStateQuery(request.query);
    const found = await reader.state(aggregate, id, at);
    const isNow = at.atVersion === undefined && at.atTime === undefined;
    // Only the newest state’s tag is one for If-Match.
    if (isNow) void reply.header('etag', versionTag(found.version));
    return reply.header('cache-control', 'no-store').send(found);
  });
}
