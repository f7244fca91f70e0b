/** The one line that a run of a scenario leaves. */
import type { Outcome } from './world.js';

const amount = (count: number): string => count.toLocaleString('en-US');

export function lineOf(name: string, outcome: Outcome): string {
  const { seed, happened, acknowledged, lost, repeated, records, again, metrics, seconds, faults } = outcome;
  const counted = (metric: string): string => amount(metrics.get(metric) ?? 0);
  return [
    `${name}: ${faults.length === 0 ? 'ok' : 'FAULTY'}, seed ${seed}, ${seconds.toFixed(1)} s`,
    `faults: ${happened.join(', ') || 'none'}`,
    `acknowledged ${amount(acknowledged)}, lost ${amount(lost)}, repeated ${amount(repeated)}`,
    `healed gaps ${counted('feed_gaps_healed_total')}, dropped repeats ${counted('feed_repeats_dropped_total')}, fenced writes ${counted('projection_fenced_writes_total')}`,
    `topics: ${amount(records)} records, ${amount(again)} of them again`,
  ].join('; ');
}
