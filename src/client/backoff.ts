/** How long to wait before the next try: twice as long each time, jittered, so that many clients do not come at once. */

/** The longest that a timer takes, ms: one of more goes off at once. */
export const LONGEST_TIMER_MS = 2 ** 31 - 1;

export interface BackoffLimits {
  readonly minMs: number;
  readonly maxMs: number;
}

/** @param tries how many failed so far, from 0 @returns ms, between half of the step and one and a half of it */
export const backoffMs = ({ minMs, maxMs }: BackoffLimits, tries: number): number =>
  Math.min(maxMs, minMs * 2 ** Math.min(tries, 30)) * (0.5 + Math.random());
