/** How long to wait before the next try: twice as long each time, jittered, so that many clients do not come at once. */

export interface BackoffLimits {
  readonly minMs: number;
  readonly maxMs: number;
}

/** @param tries how many failed so far, from 0 @returns ms, between half of the step and one and a half of it */
export const backoffMs = ({ minMs, maxMs }: BackoffLimits, tries: number): number =>
  Math.min(maxMs, minMs * 2 ** Math.min(tries, 30)) * (0.5 + Math.random());
