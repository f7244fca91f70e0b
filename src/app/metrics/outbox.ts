/** What is measured of the relay. What waits is that of all relays, whichever process is asked; the rest is its own. */
import type { Pending } from '../../outbox/pending.js';
import type { RelayObserver } from '../../outbox/types.js';
import type { MetricsRegistry } from './registry.js';

export interface OutboxMetrics {
  readonly relay: RelayObserver;
  deadLettersSent(projection: string, count: number): void;
}

export function outboxMetrics(registry: MetricsRegistry): OutboxMetrics {
  const label = ['log'] as const;
  const sent = registry.counter('outbox_sent_total', 'Entries that Kafka acknowledged.', label);
  const bytes = registry.counter('outbox_sent_bytes_total', 'Bytes of them, estimated.', label);
  const seconds = registry.seconds('outbox_send_seconds', 'Time until Kafka acknowledged a batch.', label);
  const again = registry.counter(
    'outbox_sent_again_total',
    'Entries sent again, as Kafka did not have them any more.',
    label,
  );
  const skipped = registry.counter(
    'outbox_skipped_total',
    'Changes that were trimmed before they were sent.',
    label,
  );
  const failures = registry.counter('outbox_failures_total', 'Times that a shard could not be sent.', [
    'log',
    'code',
  ]);
  const fenced = registry.counter(
    'outbox_fenced_total',
    'Sends and cursors held back, as the shard is another process’s or may be.',
    label,
  );
  const letters = registry.counter('dead_letters_sent_total', 'Parked events sent as dead letters.', [
    'projection',
  ]);
  return {
    relay: {
      sent(info) {
        const { log } = info;
        sent.inc({ log }, info.entries);
        bytes.inc({ log }, info.bytes);
        seconds.observe({ log }, info.seconds);
      },
      again: ({ log, entries }) => again.inc({ log }, entries),
      skipped: ({ log, entries }) => skipped.inc({ log }, entries),
      failed: ({ log, code }) => failures.inc({ log, code }),
      fenced: ({ log }) => fenced.inc({ log }),
    },
    deadLettersSent: (projection, count) => letters.inc({ projection }, count),
  };
}

/**
 * @param pending what waits, as Postgres says it now; what it says in time
 * @param state of this process’s relay
 */
export function outboxGauges(
  registry: MetricsRegistry,
  pending: () => Promise<readonly Pending[]>,
  state: {
    readonly logs: readonly string[];
    readonly diverged: () => ReadonlySet<string>;
    readonly shards: (log: string) => number;
  },
): void {
  const label = ['log'] as const;
  registry.gauge('outbox_pending', 'Entries that are not in Kafka yet.', label, async (gauge) => {
    gauge.reset();
    for (const { log, entries } of await pending()) gauge.set({ log }, entries);
  });
  registry.gauge('outbox_oldest_seconds', 'Age of the oldest of them.', label, async (gauge) => {
    gauge.reset();
    for (const { log, oldest } of await pending())
      gauge.set({ log }, oldest === undefined ? 0 : (Date.now() - Date.parse(oldest)) / 1_000);
  });
  registry.gauge('outbox_diverged', '1 where Kafka has what Postgres does not.', label, (gauge) => {
    for (const log of state.logs) gauge.set({ log }, Number(state.diverged().has(log)));
  });
  registry.gauge('outbox_shards', 'Shards that this process relays.', label, (gauge) => {
    for (const log of state.logs) gauge.set({ log }, state.shards(log));
  });
}
