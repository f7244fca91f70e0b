/**
 * The Postgres feed: reads a log's shards page by page, woken by hints. Shared shards are spread over the members of a
 * group by leases; what makes the work exact is the reader's own checkpoint, not the lease.
 */
import type { LogPage } from '../../event-store/types.js';
import type { Logger } from '../../platform/logger.js';
import { jittered } from '../../platform/pause.js';
import type { Lease, LeaseTaker, Leases } from '../../platform/postgres/leases.js';
import type { Wakeups } from '../../platform/wakeups.js';
import type { Feed, FeedObserver, JoinRequest, Membership, Sequenced } from '../ports.js';
import { Permits } from './permits.js';
import { ShardLoop } from './shard-loop.js';

/** Reads entries of one shard after a seq, without a hole; may give fewer than `limit` though there are more. */
export type PageReader<E> = (log: string, shard: number, after: number, limit: number) => Promise<LogPage<E>>;

export interface PostgresFeedOptions<E extends Sequenced> {
  readonly read: PageReader<E>;
  readonly wakeups: Wakeups;
  readonly leases: Pick<Leases, 'join'>;
  readonly logger: Logger;
  readonly observer?: FeedObserver;
  /** How many shards that are far behind may hold pages (two each) at once; 8 unless told otherwise. */
  readonly maxBehind?: number;
  /** About how long a shard that the member does not want now is left alone; 1,000 ms unless told otherwise. */
  readonly notNowMs?: number;
}

/** A complaint of the same text is logged once in this time. */
const COMPLAIN_EVERY_MS = 10_000;

export class PostgresFeed<E extends Sequenced> implements Feed<E> {
  readonly #options: PostgresFeedOptions<E>;
  readonly #permits: Permits;
  readonly #reads = new Map<string, Promise<LogPage<E>>>();
  readonly #complained = new Map<string, number>();

  constructor(options: PostgresFeedOptions<E>) {
    this.#options = options;
    this.#permits = new Permits(options.maxBehind ?? 8);
  }

  join(request: JoinRequest<E>): Promise<Membership> {
    const loops = new Map<number, ShardLoop<E>>();
    const begin = (shard: number, notNow: (shard: number) => Promise<void>, lease?: Lease): void => {
      loops.set(shard, this.#loop(request, shard, notNow, lease));
    };
    const end = async (shard: number): Promise<void> => {
      const loop = loops.get(shard);
      await loop?.stop();
      if (loops.get(shard) === loop) loops.delete(shard);
    };
    const deaf = this.#options.wakeups.on(request.log, (shard, seq) => loops.get(shard)?.hint(seq));
    const leave =
      request.mode === 'shared' ? this.#share(request, begin, end) : this.#readAll(request, begin);
    let stopping: Promise<void> | undefined;
    return Promise.resolve({
      reopen: (shard) => loops.get(shard)?.reopen(),
      stop: () => {
        stopping ??= (async () => {
          deaf();
          await Promise.all([...loops.keys()].map(end));
          await leave();
        })();
        return stopping;
      },
    });
  }

  #readAll(
    request: JoinRequest<E>,
    begin: (shard: number, notNow: () => Promise<void>) => void,
  ): () => Promise<void> {
    for (let shard = 0; shard < request.shards; shard++) begin(shard, () => this.#rest());
    return () => Promise.resolve();
  }

  /** Spreads the shards: a lease each. A shard that is not wanted now goes back, so that another member may try. */
  #share(
    request: JoinRequest<E>,
    begin: (shard: number, notNow: (shard: number) => Promise<void>, lease: Lease) => void,
    end: (shard: number) => Promise<void>,
  ): () => Promise<void> {
    const notNow = async (shard: number): Promise<void> => {
      await participation.yieldFor(shard, this.#options.notNowMs ?? 1_000);
      // The loop rests until it is ended: the shard is opened again by whoever gets its lease.
      void end(shard);
      await new Promise(() => undefined);
    };
    const taker: LeaseTaker = {
      gained: (lease) => begin(lease.item, notNow, lease),
      lost: ({ item }) => end(item),
    };
    const participation = this.#options.leases.join(
      `feed/${request.group}/${request.log}`,
      request.shards,
      taker,
    );
    return () => participation.leave();
  }

  async #rest(): Promise<void> {
    await new Promise((resolve) => setTimeout(resolve, jittered((this.#options.notNowMs ?? 1_000) * 1.33)));
  }

  #loop(
    request: JoinRequest<E>,
    shard: number,
    notNow: (shard: number) => Promise<void>,
    lease: Lease | undefined,
  ): ShardLoop<E> {
    const { observer } = this.#options;
    return new ShardLoop<E>({
      shard,
      maxBatch: request.maxBatch,
      open: (one) => request.open(one, lease),
      read: (one, after, limit) => this.#read(request.log, one, after, limit),
      notNow,
      complain: (what, details) =>
        this.#complain(what, { log: request.log, group: request.group, ...details }),
      gapHealed: () => observer?.gapHealed?.(request.log),
      repeatsDropped: (count) => observer?.repeatsDropped?.(request.log, count),
      permits: this.#permits,
    });
  }

  /** Members that stand at the same place (several live projections of one log) share one read. */
  #read(log: string, shard: number, after: number, limit: number): Promise<LogPage<E>> {
    const id = `${log}/${shard}/${after}/${limit}`;
    const known = this.#reads.get(id);
    if (known) return known;
    const reading = this.#options.read(log, shard, after, limit).finally(() => this.#reads.delete(id));
    this.#reads.set(id, reading);
    return reading;
  }

  #complain(what: string, details: Record<string, unknown>): void {
    const id = `${what}/${String(details['log'])}/${String(details['group'])}`;
    const now = performance.now();
    if (now - (this.#complained.get(id) ?? Number.NEGATIVE_INFINITY) < COMPLAIN_EVERY_MS) return;
    this.#complained.set(id, now);
    this.#options.logger.warn(details, what);
  }
}
