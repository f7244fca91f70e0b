/** What is measured of the records that come in from other systems. */
import type { ConsumerStanding } from '../../inbound/inbound.js';
import type { InboundObserver } from '../../inbound/ports.js';
import type { MetricsRegistry } from './registry.js';

export function inboundMetrics(registry: MetricsRegistry): InboundObserver {
  const records = registry.counter(
    'inbound_records_total',
    'Records of other systems, by what became of them.',
    ['consumer', 'outcome'],
  );
  const retries = registry.counter(
    'inbound_retries_total',
    'Tries that failed and are made again, by code.',
    ['consumer', 'code'],
  );
  const reused = registry.counter(
    'inbound_keys_reused_total',
    'Commands that had run for the record before, with another payload.',
    ['consumer'],
  );
  return {
    record: (consumer, outcome) => records.inc({ consumer, outcome }),
    retried: (consumer, code) => retries.inc({ consumer, code }),
    keyReused: (consumer) => reused.inc({ consumer }),
  };
}

export function inboundGauges(registry: MetricsRegistry, standings: () => readonly ConsumerStanding[]): void {
  registry.gauge(
    'inbound_lag_records',
    'Records that are not handled yet, of the partitions that are this process’s.',
    ['consumer'],
    (gauge) => {
      for (const { consumer, behind } of standings()) gauge.set({ consumer }, behind);
    },
  );
  registry.gauge(
    'inbound_troubles',
    'Partitions that wait for something, and topics that cannot be read.',
    ['consumer'],
    (gauge) => {
      for (const { consumer, troubles } of standings()) gauge.set({ consumer }, troubles.length);
    },
  );
}
