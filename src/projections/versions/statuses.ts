/** How every projection of an application is, as this process knows it; for /readyz and the metrics. */
import type { AnyApp } from '../../domain/app.js';
import type { ProgressTracker } from '../progress-tracker.js';
import type { Directives, ProjectionStatus } from '../types.js';

/** Behind by more than this, a projection is no longer live. */
export const FELL_BEHIND_MS = 10_000;

export interface StatusSources {
  readonly tracker: Pick<ProgressTracker, 'behind'>;
  readonly directives: Pick<Directives, 'facts'>;
}

export function projectionStatuses(app: AnyApp, { tracker, directives }: StatusSources): ProjectionStatus[] {
  return app.projections.map(({ name, version }) => {
    const behind = tracker.behind(name);
    const facts = directives.facts(name);
    const { lag, behindMs } = behind ?? { lag: null, behindMs: null };
    // Only projectors move the state: where none runs, it is told here.
    const late = facts?.state === 'live' && behindMs !== null && behindMs > FELL_BEHIND_MS;
    const state = late ? 'catching_up' : (facts?.state ?? 'catching_up');
    const reason = facts?.stops.find(({ kind }) => kind === facts.state)?.reason ?? facts?.reason;
    return {
      name,
      version,
      state,
      lag,
      behindMs,
      parkedKeys: facts?.parkedKeys ?? 0,
      ...(reason === undefined ? {} : { reason }),
      ...(facts?.progress && !facts.loaded ? { progress: facts.progress } : {}),
    };
  });
}
