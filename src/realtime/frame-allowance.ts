/** How many frames a client may send: a burst, then so many a second (a token bucket). */

export class FrameAllowance {
  readonly #burst: number;
  readonly #perSecond: number;
  #left: number;
  #at: number | undefined;

  constructor(burst: number, perSecond: number) {
    this.#burst = burst;
    this.#perSecond = perSecond;
    this.#left = burst;
  }

  /** @param now ms of a clock that never runs backwards. @returns false when the client sends more than it may */
  take(now: number): boolean {
    const elapsed = now - (this.#at ?? now);
    this.#at = now;
    this.#left = Math.min(this.#burst, this.#left + (elapsed / 1_000) * this.#perSecond);
    if (this.#left < 1) return false;
    this.#left--;
    return true;
  }
}
