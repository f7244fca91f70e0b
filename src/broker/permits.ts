/** A bound on how many do something at once; those who come later wait their turn, first come, first served. */

export class Permits {
  #free: number;
  readonly #waiting: (() => void)[] = [];

  constructor(count: number) {
    this.#free = count;
  }

  /** Somebody waits, so that it is polite to give the permit back soon. */
  get wanted(): boolean {
    return this.#waiting.length > 0;
  }

  async take(): Promise<void> {
    if (this.#free > 0) this.#free--;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  giveBack(): void {
    const next = this.#waiting.shift();
    if (next) next();
    else this.#free++;
  }
}

/** One who takes a permit while there is much to do, and gives it back at rest or when others want it. */
export class Turn {
  readonly #permits: Permits;
  #held = false;

  constructor(permits: Permits) {
    this.#permits = permits;
  }

  get held(): boolean {
    return this.#held;
  }

  async take(): Promise<void> {
    if (this.#held && this.#permits.wanted) this.end();
    if (this.#held) return;
    await this.#permits.take();
    this.#held = true;
  }

  end(): void {
    if (this.#held) this.#permits.giveBack();
    this.#held = false;
  }
}
