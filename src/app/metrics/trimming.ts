/** What is measured of the change logs on disk. Told by the process that trims them, and by no other. */
import type { TrimObserver } from '../../projections/trimming/trimmer.js';
import type { SlottedLog } from '../../projections/trimming/plan.js';
import type { MetricsRegistry } from './registry.js';

/** @param logs as the last look found them; none where another process trims */
export function trimmingMetrics(registry: MetricsRegistry, logs: () => readonly SlottedLog[]): TrimObserver {
  const gauge = (name: string, help: string, read: (log: SlottedLog) => number): void => {
    registry.gauge(name, help, ['log'], (one) => {
      one.reset();
      for (const log of logs()) one.set({ log: log.log }, read(log));
    });
  };
  gauge('change_log_slots', 'Slots (partitions) of a change log.', ({ slots }) => slots.length);
  gauge('change_log_bytes', 'Bytes of a change log on disk, with its indexes.', ({ slots }) =>
    slots.reduce((sum, { bytes }) => sum + bytes, 0),
  );
  gauge('change_log_low', 'Sum of the low-water marks: changes ever trimmed.', ({ trimmed }) => trimmed);
  const trims = registry.counter(
    'change_log_trims_total',
    'Slots opened, dropped, or left for later as the log was in use.',
    ['log', 'what'],
  );
  return { trimmed: (log, what) => trims.inc({ log, what }) };
}
