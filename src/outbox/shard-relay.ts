/** One shard while this process relays it: entries go out batch by batch, and the cursor follows. */
import type { Publisher, ShardReader } from '../broker/ports.js';
import { isTidemarkError } from '../platform/errors.js';
import type { Lease, Leases } from '../platform/postgres/leases.js';
import { batchesOf, type BatchLimits } from './batches.js';
import type { Track } from './cursor-mover.js';
import type { Trouble } from './trouble.js';
import { markOf, Told, type RelayedLog, type RelayEntry, type RelayObserver } from './types.js';

export interface ShardRelayOptions {
  readonly log: RelayedLog;
  readonly shard: number;
  readonly lease: Lease;
  readonly epoch: string;
  readonly seq: number;
  /** Of the entry at `seq`, where it is known. */
  readonly mark: string | undefined;
  readonly publisher: Pick<Publisher, 'publish'>;
  readonly leases: Pick<Leases, 'sure'>;
  readonly track: Track;
  readonly trouble: Trouble;
  readonly limits: BatchLimits;
  readonly observer: RelayObserver | undefined;
  /** Kafka refused, or did not answer. */
  failed(error: unknown): void;
  trimmed(): void;
  closed(): void;
}

export class ShardRelay implements ShardReader<RelayEntry> {
  readonly after: number;
  readonly #options: ShardRelayOptions;
  #position: number;
  #mark: string | undefined;

  constructor(options: ShardRelayOptions) {
    this.#options = options;
    this.after = options.seq;
    this.#position = options.seq;
    this.#mark = options.mark;
  }

  get epoch(): string {
    return this.#options.epoch;
  }

  /** Kafka has everything up to it. */
  get position(): number {
    return this.#position;
  }

  async handle(entries: readonly RelayEntry[]): Promise<void> {
    this.#follow(entries);
    for (const { entries: batch, bytes } of batchesOf(entries, this.#options.limits)) {
      await this.#send(batch, bytes);
    }
  }

  trimmed(): void {
    this.#options.trimmed();
  }

  closed(): void {
    this.#options.closed();
  }

  /** The entries are of the log that was followed so far, and not of a database that was put in its place. */
  #follow(entries: readonly RelayEntry[]): void {
    const { epoch, log } = this.#options;
    const [first] = entries;
    if (first === undefined) return;
    if (entries.some((entry) => entry.epoch !== epoch)) throw new Told(`${log.log} has begun another epoch`);
    // What was before a change may have been trimmed since.
    const unknown = this.#mark === undefined || (first.follows === null && first.kind === 'change');
    if (!unknown && first.follows !== this.#mark)
      throw new Told(`${log.log} is not what it was: before seq ${first.seq} stands another entry`);
  }

  async #send(batch: readonly RelayEntry[], bytes: number): Promise<void> {
    const { log, shard, lease, leases, publisher, track, trouble, observer } = this.#options;
    const begun = performance.now();
    // Looked at right before the bytes go out: who stood still since the page was read must not send any more.
    const check = (): void => {
      if (leases.sure(lease)) return;
      observer?.fenced({ log: log.log });
      throw new Told('the lease may be another’s');
    };
    try {
      await publisher.publish(log, shard, batch, check);
    } catch (error) {
      if (error instanceof Told) throw error;
      this.#options.failed(error);
      const code = trouble.failed(log.log, shard, error);
      observer?.failed({ log: log.log, code });
      throw new Told(isTidemarkError(error) ? error.message : 'a send failed', { cause: error });
    }
    trouble.over(log.log, shard);
    const last = batch.at(-1);
    if (last === undefined) return;
    this.#position = last.seq;
    this.#mark = markOf(last);
    track.moved(last.seq);
    const seconds = (performance.now() - begun) / 1_000;
    observer?.sent({ log: log.log, entries: batch.length, bytes, seconds });
  }
}
