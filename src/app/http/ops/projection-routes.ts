/** `/ops/projections…`: how projections stand, and what is done with them. */
import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import { pause, rebuild, resume } from '../../../projections/operations/control.js';
import { listProjections, showProjection } from '../../../projections/operations/list.js';
import { prune, swapViewTo } from '../../../projections/operations/release.js';
import { diffVersions } from '../../../projections/verify/diff.js';
import { verifyProjection, type VerifyOptions } from '../../../projections/verify/verify.js';
import type { OperatorDeps } from './http.js';
import {
  bodyOf,
  DiffBody,
  NothingBody,
  parametersOf,
  PruneBody,
  SwapBody,
  VerifyBody,
  VersionBody,
} from './input.js';
import type { Verifications } from './verifications.js';

interface ProjectionRoute {
  Params: { name: string };
}

type Deps = OperatorDeps & { readonly verifications: Verifications };

/** What is answered at once ends in time for clients that wait 30 s; the answer says what was left. */
const AT_ONCE_MS = 20_000;
/** In the background. */
const LONG_MS = 6 * 3_600_000;

const NOTHING = z.strictObject({});

export function registerProjectionRoutes(server: FastifyInstance, deps: Deps): void {
  const { db } = deps;

  server.get('/ops/projections', async (request, reply) => {
    parametersOf(NOTHING, request.query);
    return reply.send({ projections: await listProjections(db) });
  });

  server.get<ProjectionRoute>('/ops/projections/:name', async (request, reply) => {
    parametersOf(NOTHING, request.query);
    const { name } = request.params;
    return reply.send({ name, versions: await showProjection(db, name) });
  });

  registerControl(server, deps);
  registerRelease(server, deps);
  registerChecking(server, deps);
}

function registerControl(server: FastifyInstance, { app, db, look, logger }: Deps): void {
  for (const [what, act] of Object.entries({ pause, resume })) {
    server.post<ProjectionRoute>(`/ops/projections/:name/${what}`, async (request, reply) => {
      const { version } = bodyOf(VersionBody, request.body);
      const report = await act(db, { name: request.params.name, version });
      logger.info({ projection: report.name, version: report.version }, `${what} by an operator`);
      await look();
      return reply.send(report);
    });
  }

  server.post<ProjectionRoute>('/ops/projections/:name/rebuild', async (request, reply) => {
    bodyOf(NothingBody, request.body);
    const { name } = request.params;
    await showProjection(db, name);
    const report = await rebuild(db, app, name);
    logger.info({ projection: name, version: report.version }, 'rebuild by an operator');
    await look();
    const see = `/ops/projections/${name}`;
    return reply
      .code(202)
      .header('location', see)
      .send({ see, ...report });
  });
}

function registerRelease(server: FastifyInstance, { app, db, logger, dropTopics }: Deps): void {
  server.post<ProjectionRoute>('/ops/projections/:name/swap-view', async (request, reply) => {
    const { version, lockTimeoutMs } = bodyOf(SwapBody, request.body);
    const swap = await swapViewTo(db, { name: request.params.name, version }, { lockTimeoutMs });
    logger.info({ projection: swap.name, version: swap.version }, 'view swapped by an operator');
    return reply.send(swap);
  });

  server.post('/ops/projections/prune', async (request, reply) => {
    const { graceSeconds, dryRun } = bodyOf(PruneBody, request.body);
    const report = await prune(db, { app, graceMs: graceSeconds * 1_000, dryRun });
    if (dryRun) return reply.send(report);
    const topics = await dropTopics?.(report.dropped);
    logger.info({ dropped: report.dropped, topics }, 'pruned by an operator');
    return reply.send({ ...report, ...(topics && { topics }) });
  });
}

function registerChecking(server: FastifyInstance, { app, db, verifications }: Deps): void {
  server.post<ProjectionRoute>('/ops/projections/:name/verify', async (request, reply) => {
    const { name } = request.params;
    const { all, keys, sample, seed } = bodyOf(VerifyBody, request.body);
    await showProjection(db, name);
    if (all === undefined) {
      const options: VerifyOptions = {
        ...(keys && { keys }),
        ...(sample !== undefined && { sample }),
        ...(seed !== undefined && { seed }),
        timeoutMs: AT_ONCE_MS,
      };
      return reply.send(await verifyProjection(db, app, name, options));
    }
    const begun = verifications.begin(name, { all, timeoutMs: LONG_MS });
    const see = `/ops/projections/${name}/verify`;
    return reply
      .code(202)
      .header('location', see)
      .send({ see, ...begun });
  });

  server.get<ProjectionRoute>('/ops/projections/:name/verify', async (request, reply) => {
    parametersOf(NOTHING, request.query);
    const { name } = request.params;
    await showProjection(db, name);
    return reply.send(verifications.state(name));
  });

  server.post<ProjectionRoute>('/ops/projections/:name/diff', async (request, reply) => {
    const { name } = request.params;
    const { versions, limit } = bodyOf(DiffBody, request.body);
    await showProjection(db, name);
    return reply.send(await diffVersions(db, name, versions, { limit, timeoutMs: AT_ONCE_MS }));
  });
}
