/** One who follows a log through a feed, and what it got of each shard. */
import { expect } from 'vitest';
import type { Feed, FeedObserver, JoinRequest, Membership } from '../../src/broker/ports.js';
import type { ChangeEntry } from '../../src/projections/types.js';
import { LOG } from './things.js';

export const upTo = (last: number, first = 1): number[] =>
  Array.from({ length: last - first + 1 }, (_, index) => first + index);

export class Following {
  readonly seqs = new Map<number, number[]>();
  readonly keys = new Map<number, string[]>();
  /** Readers that were opened. */
  opened = 0;
  /** Called with each batch, before it counts. */
  before: (entries: readonly ChangeEntry[]) => Promise<void> | void = () => undefined;
  #membership: Membership | undefined;

  async join(feed: Feed<ChangeEntry>, options: Partial<JoinRequest<ChangeEntry>> = {}): Promise<this> {
    this.#membership = await feed.join({
      log: LOG,
      shards: 3,
      group: 'following',
      mode: 'every',
      maxBatch: 500,
      open: (shard) => {
        this.opened++;
        return Promise.resolve({
          after: this.seqs.get(shard)?.at(-1) ?? 0,
          handle: (entries) => this.take(shard, entries),
          trimmed: () => undefined,
        });
      },
      ...options,
    });
    return this;
  }

  async take(shard: number, entries: readonly ChangeEntry[]): Promise<void> {
    await this.before(entries);
    const seqs = this.seqs.get(shard) ?? [];
    const keys = this.keys.get(shard) ?? [];
    for (const { seq, key } of entries) {
      seqs.push(seq);
      keys.push(key);
    }
    this.seqs.set(shard, seqs);
    this.keys.set(shard, keys);
  }

  /** Resolves when a shard has all up to a seq, once and in order. */
  async has(shard: number, last: number): Promise<void> {
    await expect
      .poll(() => this.seqs.get(shard)?.at(-1) ?? 0, { timeout: 60_000, interval: 5 })
      .toBeGreaterThanOrEqual(last);
    expect(this.seqs.get(shard)).toEqual(upTo(last));
  }

  leave(): Promise<void> {
    return this.#membership?.stop() ?? Promise.resolve();
  }
}

/** What a feed counts. */
export class Counts implements Required<FeedObserver> {
  gaps = 0;
  repeats = 0;
  foreign = 0;
  tails = 0;
  lags = 0;
  replaced = 0;

  gapHealed(): void {
    this.gaps++;
  }
  repeatsDropped(_log: string, count: number): void {
    this.repeats += count;
  }
  foreignDropped(_log: string, count: number): void {
    this.foreign += count;
  }
  tailFound(): void {
    this.tails++;
  }
  lagMadeUp(): void {
    this.lags++;
  }
  consumerReplaced(): void {
    this.replaced++;
  }
}
