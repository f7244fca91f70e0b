/** What is measured of the feeds of a process that follows Kafka. */
import type { FeedObserver } from '../../broker/ports.js';
import type { MetricsRegistry } from './registry.js';

const label = ['log'] as const;

/** All stay at 0 as long as Kafka gives everything once, in order and soon. */
export function kafkaFeedMetrics(registry: MetricsRegistry): FeedObserver {
  const foreign = registry.counter(
    'feed_foreign_dropped_total',
    'Records of another epoch, or not of ours.',
    label,
  );
  const tails = registry.counter('feed_tails_found_total', 'Ends of a log that Kafka did not give.', label);
  const lags = registry.counter('feed_lags_made_up_total', 'Large lags made up from Postgres.', label);
  const replaced = registry.counter(
    'feed_consumers_replaced_total',
    'Consumers that were lost or could not be made.',
    label,
  );
  return {
    foreignDropped: (log, count) => foreign.inc({ log }, count),
    tailFound: (log) => tails.inc({ log }),
    lagMadeUp: (log) => lags.inc({ log }),
    consumerReplaced: (log) => replaced.inc({ log }),
  };
}

/** @param away logs that do not come from Kafka now */
export function awayGauge(registry: MetricsRegistry, away: () => readonly string[]): void {
  registry.gauge(
    'feed_away',
    '1 for a log that does not come from Kafka, but from Postgres.',
    label,
    (gauge) => {
      gauge.reset();
      for (const log of away()) gauge.set({ log }, 1);
    },
  );
}
