/** What is measured of the projections, and of the feeds that they and the gateway follow. */
import type { FeedObserver } from '../../broker/ports.js';
import type { ProjectorObserver } from '../../projections/projector.js';
import { PROJECTION_STATES } from '../../projections/states.js';
import type { BuildProgress, ProjectionStatus } from '../../projections/types.js';
import type { Gauge } from 'prom-client';
import type { ProjectionRegistry } from '../../projections/versions/registry.js';
import type { MetricsRegistry } from './registry.js';

export function projectorMetrics(registry: MetricsRegistry): ProjectorObserver {
  const label = ['projection'] as const;
  const batches = registry.counter('projection_batches_total', 'Transactions of projections.', label);
  const events = registry.counter('projection_events_total', 'Events that are in.', label);
  const changes = registry.counter('projection_changes_total', 'Changes of rows.', label);
  const conflicts = registry.counter(
    'projection_fenced_writes_total',
    'Batches that another worker was ahead of.',
    ['projection', 'kind'],
  );
  const halts = registry.counter('projection_halts_total', 'Times that a shard halted.', label);
  const parks = registry.counter('projection_parks_total', 'Keys that were parked.', label);
  return {
    wrote({ projection, events: read, changes: written }) {
      batches.inc({ projection });
      events.inc({ projection }, read);
      changes.inc({ projection }, written);
    },
    conflict: ({ projection, kind }) => conflicts.inc({ projection, kind }),
    halted: ({ projection }) => halts.inc({ projection }),
    parked: ({ projection, keys }) => parks.inc({ projection }, keys),
  };
}

/** Both stay at 0 where no hop loses or repeats anything. */
export function feedMetrics(registry: MetricsRegistry): FeedObserver {
  const gaps = registry.counter('feed_gaps_healed_total', 'Holes that a feed found and filled.', ['log']);
  const repeats = registry.counter('feed_repeats_dropped_total', 'Entries that came again.', ['log']);
  return {
    gapHealed: (log) => gaps.inc({ log }),
    repeatsDropped: (log, count) => repeats.inc({ log }, count),
  };
}

/** How projections stand when the metrics are asked for: lag in events and seconds (never clamped, and absent until it is known), and their state. */
export function projectionGauges(
  registry: MetricsRegistry,
  statuses: () => readonly ProjectionStatus[],
  versions: Pick<ProjectionRegistry, 'refusal'>,
): void {
  const label = ['projection', 'version'] as const;
  registry.gauge('projection_lag_events', 'Events behind the heads.', label, (gauge) => {
    for (const { name, version, lag } of statuses())
      if (lag !== null) gauge.set({ projection: name, version }, lag);
  });
  registry.gauge('projection_lag_seconds', 'Age of the oldest event that is not in.', label, (gauge) => {
    for (const { name, version, behindMs } of statuses())
      if (behindMs !== null) gauge.set({ projection: name, version }, behindMs / 1_000);
  });
  registry.gauge('projection_state', '1 for the state that it is in.', [...label, 'state'], (gauge) => {
    for (const status of statuses()) {
      const { name: projection, version } = status;
      for (const state of PROJECTION_STATES)
        gauge.set({ projection, version, state }, Number(status.state === state));
    }
  });
  registry.gauge('projection_ready', '1 where this process may read the version.', label, (gauge) => {
    for (const { name, version } of statuses())
      gauge.set({ projection: name, version }, Number(versions.refusal(name) === undefined));
  });
  registry.gauge('projection_parked_keys', 'Keys that stand still.', label, (gauge) => {
    for (const { name, version, parkedKeys } of statuses())
      gauge.set({ projection: name, version }, parkedKeys);
  });
  buildGauges(registry, statuses);
}

/** Absent while nothing is being built. */
function buildGauges(registry: MetricsRegistry, statuses: () => readonly ProjectionStatus[]): void {
  const label = ['projection', 'version'] as const;
  const building = (gauge: Gauge<(typeof label)[number]>, of: (progress: BuildProgress) => number): void => {
    gauge.reset();
    for (const { name, version, progress } of statuses())
      if (progress) gauge.set({ projection: name, version }, of(progress));
  };
  registry.gauge('projection_build_events', 'Events that a build has loaded.', label, (gauge) =>
    building(gauge, ({ events }) => events),
  );
  registry.gauge('projection_build_events_total', 'Events that a build has to load.', label, (gauge) =>
    building(gauge, ({ total }) => total),
  );
  registry.gauge('projection_build_events_per_second', 'How fast a build loads.', label, (gauge) =>
    building(gauge, ({ perSecond }) => perSecond),
  );
}
