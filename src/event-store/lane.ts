/**
 * A lane: a bounded queue and one call in flight. What arrives meanwhile goes together with the next call (group commit);
 * a request that finds the lane idle goes at once.
 */
import { TidemarkError } from '../platform/errors.js';
import type { Pending } from './pending.js';

export interface LaneLimits {
  readonly maxBatch: number;
  readonly maxBatchBytes: number;
  readonly maxQueue: number;
  readonly maxQueueBytes: number;
}

/** How far past a full batch the queue is searched for requests that may go along. */
const LOOK_AHEAD = 4;

const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

export class Lane {
  readonly #work: (batch: readonly Pending[]) => Promise<void>;
  readonly #limits: LaneLimits;
  #queue: Pending[] = [];
  #bytes = 0;
  #running: Promise<void> | undefined;

  /** @param work settles or fails every request of a batch; never rejects */
  constructor(work: (batch: readonly Pending[]) => Promise<void>, limits: LaneLimits) {
    this.#work = work;
    this.#limits = limits;
  }

  get queued(): number {
    return this.#queue.length;
  }

  /** @throws TidemarkError `overloaded` when the queue is full */
  add(pending: Pending): void {
    const { maxQueue, maxQueueBytes } = this.#limits;
    if (
      this.#queue.length >= maxQueue ||
      (this.#queue.length > 0 && this.#bytes + pending.bytes > maxQueueBytes)
    )
      throw new TidemarkError('overloaded', 'too many appends are waiting', { retryAfter: 1 });
    this.#queue.push(pending);
    this.#bytes += pending.bytes;
    this.#running ??= this.#run();
  }

  /** Resolves when nothing waits and nothing is in flight. */
  async drained(): Promise<void> {
    while (this.#running) await this.#running;
  }

  async #run(): Promise<void> {
    while (this.#queue.length > 0) {
      const batch = this.#next();
      await this.#work(batch);
      // Whoever was just answered and appends again at once goes along with the next call, instead of alternating between a
      // large batch and a batch of one. A lone writer does not wait: its queue is empty here or holds its own next request.
      if (batch.length > 1 || this.#queue.length > 1) await nextTurn();
    }
    this.#running = undefined;
  }

  /** Takes the next batch from the queue: no two requests on one stream or one key, and per stream in order of arrival. */
  #next(): Pending[] {
    const { maxBatch, maxBatchBytes } = this.#limits;
    const batch: Pending[] = [];
    const later: Pending[] = [];
    const claimed = new Set<string>();
    const window = Math.min(this.#queue.length, maxBatch * LOOK_AHEAD);
    let bytes = 0;
    let at = 0;
    for (; at < window && batch.length < maxBatch; at++) {
      const pending = this.#queue[at];
      if (pending === undefined) break;
      if (batch.length > 0 && bytes + pending.bytes > maxBatchBytes) break;
      const clash = pending.claims.some((claim) => claimed.has(claim));
      // Also those of one that has to wait: what comes after it on its stream waits too.
      for (const claim of pending.claims) claimed.add(claim);
      if (clash) later.push(pending);
      else {
        batch.push(pending);
        bytes += pending.bytes;
      }
    }
    this.#queue = at === this.#queue.length ? later : later.concat(this.#queue.slice(at));
    this.#bytes -= bytes;
    return batch;
  }
}
