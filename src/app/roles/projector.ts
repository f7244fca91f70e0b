/** The `projector` role: events in, read models and change logs out. */
import { service } from '../../platform/lifecycle.js';
import { Projections } from '../../projections/projections.js';
import { Builders, type BuildersOptions } from '../../projections/rebuild/builders.js';
import { retentionOf, Trimmer } from '../../projections/trimming/trimmer.js';
import type { Context, RoleLayer } from '../context.js';
import { awayConcerns, eventFeed } from '../feeds.js';
import { projectorMetrics } from '../metrics/read-side.js';
import { trimmingMetrics } from '../metrics/trimming.js';

export interface ProjectorRole extends RoleLayer {
  readonly projections: Projections;
}

/** Whether changes that were made here are handed to followers in this process, rather than read again. */
const followsChanges = ({ config: { roles }, kafka }: Context): boolean =>
  roles.includes('gateway') || (roles.includes('relay') && kafka !== undefined);

/** @param build runs a build of one of its versions */
export function createProjectorRole(context: Context, build: BuildersOptions['run']): ProjectorRole {
  const { app, config, databases, announcer, recent, leases, logger, metrics } = context;
  const db = databases.open('projector', Math.max(config.poolSize, 2 * app.projections.length + 1));
  const { feed, away } = eventFeed(context, db);
  const observer = projectorMetrics(metrics);
  const projections = new Projections({
    app,
    db,
    feed,
    leases,
    announcer,
    ...(followsChanges(context) ? { recent: recent.changes } : {}),
    logger,
    directives: context.registry,
    observer,
  });
  const trimmer: Trimmer = new Trimmer({
    db,
    leases,
    retention: retentionOf(app),
    logger,
    observer: trimmingMetrics(metrics, () => trimmer.logs),
  });
  const builders = new Builders({
    projections: app.views,
    leases,
    directives: context.registry,
    run: build,
    look: () => context.registry.look(),
    logger,
  });
  const life = service('projector', {
    async start() {
      await projections.start();
      await builders.start();
      await trimmer.start();
    },
    async stop() {
      await Promise.all([trimmer.stop(), builders.stop()]);
      await projections.stop();
    },
  });
  return {
    ...life,
    name: 'projector',
    stopWeight: 2,
    projections,
    away,
    concerns: () => awayConcerns(away()),
  };
}
