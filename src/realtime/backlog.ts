/** What a client has not read yet, and whether it reads on: who is on a slow line is late, and not gone. */

/** Of what waits, so much must be read in time. */
const SHARE = 1 / 8;

export class Backlog {
  #since: number | undefined;
  /** With so many bytes left, it has read enough to be waited for once more. */
  #goal = 0;

  /** Something waits for the client to read. */
  get isThere(): boolean {
    return this.#since !== undefined;
  }

  clear(): void {
    this.#since = undefined;
  }

  /**
   * @param bytes that wait
   * @param now ms of a clock that never runs backwards
   * @returns for how long the client has not read an eighth of what waited, ms
   */
  grewOld(bytes: number, now: number): number {
    if (this.#since === undefined || bytes <= this.#goal) {
      this.#since = now;
      this.#goal = Math.floor(bytes * (1 - SHARE));
    }
    return now - this.#since;
  }
}
