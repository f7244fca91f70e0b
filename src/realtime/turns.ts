/** Work for many sockets, done in slices, so that ten thousand who come back at once don't hold up live traffic. */

const SLICE_MS = 8;

export class Turns<W> {
  readonly #work: (item: W) => void;
  readonly #items = new Set<W>();
  #scheduled = false;

  /** @param work done for each item; must not throw */
  constructor(work: (item: W) => void) {
    this.#work = work;
  }

  /** Has the work done for `item` in a later turn of the loop; once, however often it is asked for before. */
  add(item: W): void {
    this.#items.add(item);
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => this.#slice());
  }

  #slice(): void {
    this.#scheduled = false;
    const end = performance.now() + SLICE_MS;
    for (const item of this.#items) {
      this.#items.delete(item);
      this.#work(item);
      if (performance.now() > end) break;
    }
    if (this.#items.size === 0 || this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => this.#slice());
  }
}
