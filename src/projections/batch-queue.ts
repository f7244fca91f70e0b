/**
 * Batches of shards that wait to be written: those that come while one transaction is under way go together into the next.
 * Alone, a batch goes at once.
 */
import type { Stop } from './decode.js';
import type { EventBatch } from './lane.js';
import type { Progress } from './write.js';

interface Waiting {
  readonly batch: EventBatch;
  readonly resolve: (stop: Stop | undefined) => void;
  readonly reject: (error: unknown) => void;
}

export interface BatchQueueOptions {
  /** Events in one transaction at the most, a single batch aside. */
  readonly maxEvents: number;
  /** Writes batches of one fence; answers for each where it stopped. Never called while it runs. */
  write(batches: readonly EventBatch[]): Promise<readonly (Stop | undefined)[]>;
}

export const lastSeq = ({ from, entries }: EventBatch): number => entries.at(-1)?.seq ?? from;

/** How far a batch goes: all of it, or up to where it stopped. None where that is before its first event. */
export function progressUpto(batch: EventBatch, stop: Stop | undefined): Progress[] {
  const seen = batch.entries.at(stop ? stop.at - 1 : -1);
  if (!seen || stop?.at === 0) return [];
  const { source, shard, from } = batch;
  return [{ source, shard, from, til: seen.seq, seen }];
}

export class BatchQueue {
  readonly #options: BatchQueueOptions;
  #queue: Waiting[] = [];
  #running = false;

  constructor(options: BatchQueueOptions) {
    this.#options = options;
  }

  /** Resolves when the events are in: undefined, or why those from one on are not. @throws as `write` */
  submit(batch: EventBatch): Promise<Stop | undefined> {
    return new Promise((resolve, reject) => {
      this.#queue.push({ batch, resolve, reject });
      if (!this.#running) void this.#pump();
    });
  }

  async #pump(): Promise<void> {
    this.#running = true;
    while (this.#queue.length > 0) {
      const taken = this.#take();
      try {
        const stops = await this.#options.write(taken.map(({ batch }) => batch));
        for (const [index, { resolve }] of taken.entries()) resolve(stops[index]);
      } catch (error) {
        for (const { reject } of taken) reject(error);
      }
    }
    this.#running = false;
  }

  /** The first batch and those that may go with it: of the same fence, as long as it does not get too large. */
  #take(): Waiting[] {
    const taken: Waiting[] = [];
    const left: Waiting[] = [];
    let events = 0;
    const fence = this.#queue[0]?.batch.fence;
    for (const waiting of this.#queue) {
      const count = waiting.batch.entries.length;
      const fits =
        waiting.batch.fence === fence && (taken.length === 0 || events + count <= this.#options.maxEvents);
      if (fits) events += count;
      (fits ? taken : left).push(waiting);
    }
    this.#queue = left;
    return taken;
  }
}
