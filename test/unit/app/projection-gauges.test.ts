/** What the metrics tell of a projection before anything is known of it, and afterwards. */
import { expect, it } from 'vitest';
import orders from '../../../examples/orders/app.js';
import { projectionGauges } from '../../../src/app/metrics/read-side.js';
import { MetricsRegistry } from '../../../src/app/metrics/registry.js';
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
