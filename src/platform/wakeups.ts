/**
 * In-process hints that a log has grown. A hint may be lost or come too early; whoever waits for one also probes.
 * Listeners are called in the turn of the loop after the hint, each at most once a turn per (log, shard).
 */

/** `seq` is the shard's head when it is known, else 0. */
export type WakeListener = (shard: number, seq: number) => void;

/** Tells whoever follows a log that it has grown: in this process at once, in others as a coalesced hint. */
export interface Announcer {
  announce(log: string, shard: number, seq: number): void;
}

/** The log name under which the progress of a projection over one source is hinted (shard, seq = its checkpoint). */
export const progressLog = (projection: string, version: number, source: string): string =>
  `progress/${projection}.v${version}/${source}`;

/** The log name under which it is hinted that events of a projection were parked. */
export const parkedLog = (projection: string): string => `parked/${projection}`;

/** A listener that throws is a defect: it ends the process, unless whoever composes it knows better. */
const rethrow = (error: unknown): void =>
  queueMicrotask(() => {
    throw error;
  });

export class Wakeups implements Announcer {
  readonly #onError: (error: unknown) => void;
  readonly #listeners = new Map<string, Set<WakeListener>>();
  readonly #pending = new Map<string, Map<number, number>>();

  /** @param onError gets what a listener throws; the other listeners get their hints all the same */
  constructor(onError: (error: unknown) => void = rethrow) {
    this.#onError = onError;
  }

  /** Calls `listener` after each hint for `log`; returns what ends it. */
  on(log: string, listener: WakeListener): () => void {
    const set = this.#listeners.get(log) ?? new Set();
    this.#listeners.set(log, set);
    set.add(listener);
    return () => {
      set.delete(listener);
      if (set.size === 0 && this.#listeners.get(log) === set) this.#listeners.delete(log);
    };
  }

  /** Tells that `shard` of `log` now reaches (at least) `seq`. */
  hint(log: string, shard: number, seq = 0): void {
    if (!this.#listeners.has(log)) return;
    if (this.#pending.size === 0) setImmediate(() => this.#flush());
    const shards = this.#pending.get(log) ?? new Map<number, number>();
    this.#pending.set(log, shards);
    shards.set(shard, Math.max(shards.get(shard) ?? 0, seq));
  }

  /** Without other processes to tell, announcing is hinting. */
  announce(log: string, shard: number, seq: number): void {
    this.hint(log, shard, seq);
  }

  #flush(): void {
    const pending = [...this.#pending];
    this.#pending.clear();
    for (const [log, shards] of pending) {
      const listeners = this.#listeners.get(log) ?? new Set();
      for (const listener of [...listeners]) {
        for (const [shard, seq] of shards) {
          // One that another listener of this turn has ended is not called any more.
          if (listeners.has(listener)) this.#call(listener, shard, seq);
        }
      }
    }
  }

  #call(listener: WakeListener, shard: number, seq: number): void {
    try {
      listener(shard, seq);
    } catch (error) {
      this.#onError(error);
    }
  }
}
