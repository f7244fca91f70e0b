/** What the metrics tell of a projection before anything is known of it, and afterwards. */
import { expect, it } from 'vitest';
import orders from '../../../examples/orders/app.js';
import { projectionGauges } from '../../../src/app/metrics/read-side.js';
import { MetricsRegistry } from '../../../src/app/metrics/registry.js';
import { PROJECTION_STATES } from '../../../src/projections/states.js';
import { factsOf } from '../../support/facts.js';
import type { Behind } from '../../../src/projections/progress-tracker.js';
import { projectionStatuses } from '../../../src/projections/versions/statuses.js';

it('a lag that is not known yet is absent, not 0', async () => {
  const known = new Map<string, Behind>();
  const sources = {
    tracker: { behind: (name: string) => known.get(name) },
    directives: { facts: () => undefined },
  };
  const statuses = () => projectionStatuses(orders, sources);
  const registry = new MetricsRegistry();
  projectionGauges(registry, statuses, { refusal: () => undefined });
  expect(statuses()[0]).toMatchObject({ state: 'catching_up', lag: null, behindMs: null });
  expect(await registry.text()).not.toMatch(/^tidemark_projection_lag/m);
  known.set('order_summary', { lag: 7, behindMs: 2_500 });
  known.set('customer_totals', { lag: 0, behindMs: 0 });
  const text = await registry.text();
  expect(text).toContain('tidemark_projection_lag_events{projection="order_summary",version="1"} 7\n');
  expect(text).toContain('tidemark_projection_lag_seconds{projection="order_summary",version="1"} 2.5\n');
  expect(text).toContain('tidemark_projection_lag_events{projection="customer_totals",version="1"} 0\n');
});

it('every state is told, whether it may be read, and how far a build is while there is one', async () => {
  let facts = factsOf({ name: 'order_summary', version: 1 });
  let behindMs = 0;
  const statuses = () =>
    projectionStatuses(orders, {
      tracker: { behind: () => ({ lag: 0, behindMs }) },
      directives: { facts: (name) => (name === 'order_summary' ? facts : undefined) },
    });
  const registry = new MetricsRegistry();
  projectionGauges(registry, statuses, { refusal: () => (facts.loaded ? undefined : 'it is being built') });
  const own = async (): Promise<string[]> =>
    [
      ...(await registry.text()).matchAll(
        /^tidemark_(projection_\w+)\{projection="order_summary",version="1"(?:,state="(\w+)")?\} (\S+)$/gm,
      ),
    ].flatMap(([, metric = '', state, value]) =>
      value === '0' ? [] : [`${metric}${state ? ` ${state}` : ''} ${value}`],
    );
  expect(await own()).toEqual(['projection_state live 1', 'projection_ready 1']);
  behindMs = 10_001;
  expect(await own()).toEqual([
    'projection_lag_seconds 10.001',
    'projection_state catching_up 1',
    'projection_ready 1',
  ]);
  behindMs = 0;
  for (const state of PROJECTION_STATES) {
    facts = factsOf(facts, { state, parkedKeys: 3 });
    expect(await own()).toEqual([
      `projection_state ${state} 1`,
      'projection_ready 1',
      'projection_parked_keys 3',
    ]);
  }
  const progress = { startedAt: '', phase: 'loading', events: 40, total: 100, perSecond: 20 } as const;
  facts = factsOf(facts, { state: 'building', loaded: false, progress });
  expect(statuses()[0]).toMatchObject({ state: 'building', progress });
  expect(await own()).toEqual([
    'projection_state building 1',
    'projection_build_events 40',
    'projection_build_events_total 100',
    'projection_build_events_per_second 20',
  ]);
  facts = factsOf(facts);
  expect(await own()).toEqual(['projection_state live 1', 'projection_ready 1']);
});
