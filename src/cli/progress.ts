/** The progress of a build as a line for a terminal: a bar, events, events per second, time left. */
import type { BuildProgress } from '../projections/types.js';
import { amount, duration } from './words.js';

const BAR = 20;

const shareOf = ({ events, total }: BuildProgress): number =>
  total === 0 ? 1 : Math.min(1, Math.max(0, events / total));

/** Rounded down, so that 100 % means all. */
const percent = (progress: BuildProgress): string => `${Math.floor(shareOf(progress) * 100)}%`;

/** `45%, 540,000 of 1,200,000 events, 83,000/s, 8 s left`; `making indexes (1,200,000 events)` once all are loaded. */
export function progressText(progress: BuildProgress): string {
  const { phase, events, total, perSecond } = progress;
  if (phase === 'indexing') return `making indexes (${amount(total)} events)`;
  const parts = [percent(progress), `${amount(events)} of ${amount(total)} events`];
  if (perSecond > 0) {
    const left = (Math.max(0, total - events) / perSecond) * 1_000;
    parts.push(`${amount(Math.round(perSecond))}/s`, `${duration(left)} left`);
  }
  return parts.join(', ');
}

/** `[#########-----------] 45%, …` */
export function progressBar(progress: BuildProgress): string {
  const filled = progress.phase === 'indexing' ? BAR : Math.floor(shareOf(progress) * BAR);
  return `[${'#'.repeat(filled)}${'-'.repeat(BAR - filled)}] ${progressText(progress)}`;
}
