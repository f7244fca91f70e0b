/** `/ops/…`: what operators do, over HTTP; see docs/operation.md. On every process, whatever its roles. */
import type { FastifyInstance } from 'fastify';
import type { AnyApp } from '../../../domain/app.js';
import type { Logger } from '../../../platform/logger.js';
import type { Announcer } from '../../../platform/wakeups.js';
import type { Database } from '../../../platform/postgres/database.js';
import { verifyProjection } from '../../../projections/verify/verify.js';
import type { VersionName } from '../../../projections/operations/types.js';
import { forbidden, type Guard } from '../../../rights/guard.js';
import { authenticated } from '../../../rights/http.js';
import { admitLocal, refuseForms } from './guard.js';
import { NothingBody, parametersOf } from './input.js';
import type { DroppedTopics } from '../../version-topics.js';
import { registerParkedRoutes } from './parked-routes.js';
import { registerProjectionRoutes } from './projection-routes.js';
import { Verifications } from './verifications.js';

export interface OperatorDeps {
  readonly app: AnyApp;
  readonly guard: Guard;
  /** A pool of its own: an operator must get through when the others are exhausted. */
  readonly db: Database;
  readonly logger: Logger;
  /** Told of rows that a replay changes. */
  readonly announcer: Announcer;
  /** Deletes the topics of versions; undefined where there is no Kafka. */
  readonly dropTopics: ((versions: readonly VersionName[]) => Promise<DroppedTopics>) | undefined;
  /** Looks at the versions at once, so that this process does not learn a second later what was done here. */
  readonly look: () => Promise<void>;
}

export function registerOperatorRoutes(server: FastifyInstance, deps: OperatorDeps): void {
  const { app, db, guard, logger } = deps;
  const verifications = new Verifications(
    (name, options) => verifyProjection(db, app, name, options),
    logger,
  );
  server.addHook('preClose', () => verifications.stop());
  server.register((scope, _options, done) => {
    const callerOf = authenticated(scope, guard);
    scope.addHook('onRequest', (request, reply, next) => {
      reply.header('cache-control', 'no-store');
      if (guard.off) admitLocal(request);
      else if (!guard.mayOperate(callerOf(request))) throw forbidden('operating');
      refuseForms(request);
      // What stands there and is meant for the body would be passed over: `?dryRun=true`, `?version=1`.
      if (request.method === 'POST') parametersOf(NothingBody, request.query);
      next();
    });
    registerProjectionRoutes(scope, { ...deps, verifications });
    registerParkedRoutes(scope, deps);
    done();
  });
}
