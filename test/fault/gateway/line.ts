/** The one line that a run of a scenario of the gateway leaves. */
import type { Outcome } from './world.js';

const amount = (count: number): string => count.toLocaleString('en-US');

/** The same said twice is said once, with how often. */
function summed(happened: readonly string[]): string {
  const counts = new Map<string, number>();
  for (const one of happened) counts.set(one, (counts.get(one) ?? 0) + 1);
  return [...counts].map(([what, count]) => (count > 1 ? `${count} × ${what}` : what)).join(', ');
}

export function lineOf(name: string, outcome: Outcome): string {
  const { seed, happened, seconds, faults, metrics } = outcome;
  const counted = (metric: string): string => amount(metrics.get(metric) ?? 0);
  return [
    `${name}: ${faults.length === 0 ? 'ok' : 'FAULTY'}, seed ${seed}, ${seconds.toFixed(1)} s`,
    `faults: ${summed(happened) || 'none'}`,
    `acknowledged ${amount(outcome.acknowledged)}`,
    `${amount(outcome.subscribers)} subscribers saw ${amount(outcome.seen)} changes, lost ${amount(outcome.lost)}, repeated ${amount(outcome.repeated)}, overtaken ${amount(outcome.overtaken)}`,
    `connections ${amount(outcome.connections)}, resets ${amount(outcome.resets)}, slow ${counted('slow_consumers_total')}, replays ${counted('replays_total')}`,
    `memory ${amount(outcome.peakMb)} MB, grew by ${amount(outcome.growthMb)}`,
  ].join('; ');
}
