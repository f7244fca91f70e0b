/** The newest changes of one shard, without a hole, so that who comes back after a short drop costs no query. */
import type { Change } from './change.js';

export class Ring {
  #entries: Change[] = [];
  /** Index of the oldest entry that still counts; those before it were dropped. */
  #first = 0;
  #start: number;
  #bytes = 0;

  /** @param start seq before the first entry */
  constructor(start: number) {
    this.#start = start;
  }

  /** Seq before the oldest entry: whoever stands at it or later can be served from here. */
  get start(): number {
    return this.#start;
  }

  /** Seq of the newest entry (or `start`). */
  get end(): number {
    return this.#start + this.#entries.length - this.#first;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** @param change must be the one after `end` */
  push(change: Change): void {
    if (change.seq !== this.end + 1) throw new RangeError(`expected seq ${this.end + 1}, got ${change.seq}`);
    this.#entries.push(change);
    this.#bytes += change.bytes;
  }

  /** The entry of a seq in (start, end]. */
  at(seq: number): Change {
    const entry = seq > this.#start ? this.#entries[this.#first + seq - this.#start - 1] : undefined;
    if (!entry) throw new RangeError(`seq ${seq} is not in the ring (${this.#start}, ${this.end}]`);
    return entry;
  }

  /** Puts older entries in front; what is there already is left out. They must reach up to `start`. */
  prepend(changes: readonly Change[]): void {
    const older = changes.filter((change) => change.seq <= this.#start);
    const first = older[0];
    if (!first) return;
    if (older.at(-1)?.seq !== this.#start || first.seq + older.length - 1 !== this.#start)
      throw new RangeError(`entries before ${this.#start} must reach up to it without a hole`);
    this.#entries = [...older, ...this.#entries.slice(this.#first)];
    this.#first = 0;
    this.#start = first.seq - 1;
    for (const change of older) this.#bytes += change.bytes;
  }

  /** Drops the oldest entries until the rest has at most `maxBytes`. */
  trim(maxBytes: number): void {
    while (this.#bytes > maxBytes) {
      const oldest = this.#entries[this.#first];
      if (!oldest) return;
      this.#bytes -= oldest.bytes;
      this.#first++;
      this.#start++;
    }
    // Moving the rest costs its length; done when as much was dropped, it costs nothing over time.
    if (this.#first > 64 && this.#first * 2 > this.#entries.length) {
      this.#entries = this.#entries.slice(this.#first);
      this.#first = 0;
    }
  }
}
