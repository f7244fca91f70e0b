/** `/ops/parked…`: keys whose fold threw, and what is done with them. */
import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import {
  accept,
  replay,
  replayAll,
  requireReplayed,
  skip,
} from '../../../projections/operations/parked-control.js';
import { listParked, showParked } from '../../../projections/operations/parked-list.js';
import type { OperatorDeps } from './http.js';
import { AcceptBody, bodyOf, NothingBody, parametersOf, ReplayBody, SkipBody } from './input.js';

interface ProjectionRoute {
  Params: { projection: string };
}

interface KeyRoute {
  Params: { projection: string; key: string };
}

const whole = (expected: string) =>
  z
    .string()
    .regex(/^[1-9]\d{0,5}$/, { error: expected })
    .transform(Number);

const ListParameters = z.strictObject({
  projection: z.string().optional(),
  limit: whole('expected one whole number from 1 to 1000')
    .refine((n) => n <= 1_000, { error: 'expected one whole number from 1 to 1000' })
    .default(100),
});
const KeyParameters = z.strictObject({
  part: z.string().max(40).optional(),
  version: whole('expected the number of a version').optional(),
});

/** After this, an answer tells what was done until then. */
const AT_ONCE_MS = 20_000;

export function registerParkedRoutes(server: FastifyInstance, deps: OperatorDeps): void {
  const { db } = deps;

  server.get('/ops/parked', (request) => listParked(db, parametersOf(ListParameters, request.query)));

  server.get<KeyRoute>('/ops/parked/:projection/:key', (request) =>
    showParked(db, { ...request.params, ...parametersOf(KeyParameters, request.query) }),
  );

  registerReplays(server, deps);

  server.post<ProjectionRoute>('/ops/parked/:projection/accept', async (request, reply) => {
    const { version, accept: yes } = bodyOf(AcceptBody, request.body);
    const report = await accept(db, { name: request.params.projection, version }, yes);
    deps.logger.info(
      { projection: report.name, version: report.version, accept: yes },
      'parked keys accepted',
    );
    await deps.look();
    return reply.send(report);
  });
}

function registerReplays(server: FastifyInstance, deps: OperatorDeps): void {
  const { logger, look } = deps;

  server.post<ProjectionRoute>('/ops/parked/:projection/replay', async (request, reply) => {
    bodyOf(NothingBody, request.body);
    const until = performance.now() + AT_ONCE_MS;
    const items = [];
    let complete = true;
    for await (const outcome of replayAll(deps, request.params.projection)) {
      items.push(outcome);
      complete = performance.now() < until;
      if (!complete) break;
    }
    logger.info({ projection: request.params.projection, keys: items.length }, 'parked keys replayed');
    await look();
    return reply.send({ items, complete });
  });

  server.post<KeyRoute>('/ops/parked/:projection/:key/replay', async (request, reply) => {
    const { part } = bodyOf(ReplayBody, request.body);
    const { projection } = request.params;
    const outcome = await replay(deps, { ...request.params, part });
    logger.info({ projection, ...outcome }, 'parked key replayed');
    await look();
    requireReplayed(projection, outcome);
    return reply.send(outcome);
  });

  server.post<KeyRoute>('/ops/parked/:projection/:key/skip', async (request, reply) => {
    const { part, why } = bodyOf(SkipBody, request.body);
    const outcome = await skip(deps, { ...request.params, part }, why);
    logger.info({ projection: request.params.projection, why, ...outcome }, 'parked event skipped');
    await look();
    return reply.send(outcome);
  });
}
