/** `GET /streams/{aggregate}/{id}` and `GET /streams/{aggregate}/{id}/state`. */
import type { FastifyInstance } from 'fastify';
import type { AnyAggregate } from '../domain/aggregate.js';
import type { AnyApp } from '../domain/app.js';
import type { Principal } from '../domain/rights.js';
import type { EventStore } from '../event-store/types.js';
import { isTidemarkError } from '../platform/errors.js';
import { forbidden, type Guard } from '../rights/guard.js';
import type { CallerOf } from '../rights/http.js';
import { aggregateOf, checkStreamId } from './lookup.js';
import { parseHistoryQuery, parseStateQuery } from './stream-parameters.js';
import { StreamReader } from './stream-reader.js';
import { versionTag } from './request-headers.js';

export interface StreamRouteDeps {
  readonly app: AnyApp;
  readonly store: EventStore;
  readonly guard: Guard;
  readonly callerOf: CallerOf;
}

interface StreamRoute {
  Params: { aggregate: string; id: string };
  Querystring: Record<string, unknown>;
}

/**
 * Judged by the stream as it is now, whatever of it is asked for, and before anything is told of it, also that it is not
 * there.
 * @throws TidemarkError `forbidden`, `rule_failed`, and what reading the state throws
 */
async function admitReader(
  guard: Guard,
  principal: Principal,
  reader: StreamReader,
  stream: { readonly aggregate: AnyAggregate; readonly id: string },
): Promise<void> {
  if (guard.off) return;
  const { aggregate, id } = stream;
  const may = guard.mayReadStream(principal, aggregate.name);
  const state = await reader.state(aggregate, id, {}).then(
    (found) => found.state,
    (error: unknown) => {
      if (isTidemarkError(error, 'stream_not_found')) return aggregate.initial;
      throw error;
    },
  );
  if (!may({ streamId: id, state })) throw forbidden(`streams of ${aggregate.name}`);
}

export function registerStreamRoutes(server: FastifyInstance, deps: StreamRouteDeps): void {
  const reader = new StreamReader(deps.store);
  const { guard, callerOf } = deps;

  server.get<StreamRoute>('/streams/:aggregate/:id', async (request, reply) => {
    const { id } = request.params;
    const aggregate = aggregateOf(deps.app, request.params.aggregate);
    checkStreamId(id);
    const { from, limit } = parseHistoryQuery(request.query);
    await admitReader(guard, callerOf(request), reader, { aggregate, id });
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
    await admitReader(guard, callerOf(request), reader, { aggregate, id });
    const found = await reader.state(aggregate, id, at);
    const isNow = at.atVersion === undefined && at.atTime === undefined;
    // Only the newest state’s tag is one for If-Match.
    if (isNow) void reply.header('etag', versionTag(found.version));
    return reply.header('cache-control', 'no-store').send(found);
  });
}
