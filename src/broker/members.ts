/**
 * What every feed does alike: a loop for each shard that falls to a member. Shared shards are spread over the members of
 * a group by leases in Postgres, whatever carries the entries, so that members of both feeds share a group; what makes the work
 * exact is the reader's own checkpoint, not the lease.
 */
import type { LogPage } from '../event-store/types.js';
import type { Logger } from '../platform/logger.js';
import { jittered } from '../platform/pause.js';
import type { Lease, LeaseTaker, Leases } from '../platform/postgres/leases.js';
import { Permits } from './permits.js';
import type { FeedObserver, JoinRequest, Membership, Sequenced } from './ports.js';
import { ShardLoop } from './shard-loop.js';

/** Reads entries of one shard after a seq, without a hole; may give fewer than `limit` though there are more. */
export type PageReader<E> = (log: string, shard: number, after: number, limit: number) => Promise<LogPage<E>>;

export interface MembersOptions {
  readonly leases: Pick<Leases, 'join'>;
  readonly logger: Logger;
  readonly observer?: FeedObserver;
  /** How many shards that are far behind may hold pages (two each) at once; 8 unless told otherwise. */
  readonly maxBehind?: number;
  /** Failures that whoever rejected has told of in words of his own: they are not complained of once more. */
  readonly told?: (error: unknown) => boolean;
  /** About how long a shard that the member does not want now is left alone; 1,000 ms unless told otherwise. */
  readonly notNowMs?: number;
}

/** Where the loops of one member take their entries from. */
export interface Source<E> {
  read(shard: number, after: number, limit: number): Promise<LogPage<E>>;
  /** Its reader is closed; it rejected when `failed`. */
  closed?(shard: number, failed: boolean): void;
}

export interface Member<E extends Sequenced> extends Membership {
  /** Of a shard that is this member's now. */
  loop(shard: number): ShardLoop<E> | undefined;
}

/** A complaint of the same text is logged once in this time. */
const COMPLAIN_EVERY_MS = 10_000;

type NotNow = (shard: number) => Promise<void>;

export class Members<E extends Sequenced> {
  readonly #options: MembersOptions;
  readonly #permits: Permits;
  readonly #complained = new Map<string, number>();

  constructor(options: MembersOptions) {
    this.#options = options;
    this.#permits = new Permits(options.maxBehind ?? 8);
  }

  join(request: JoinRequest<E>, source: Source<E>): Member<E> {
    const loops = new Map<number, ShardLoop<E>>();
    const begin = (shard: number, notNow: NotNow, lease?: Lease): void => {
      loops.set(shard, this.#loop(request, source, { shard, lease }, notNow));
    };
    const end = async (shard: number): Promise<void> => {
      const loop = loops.get(shard);
      await loop?.stop();
      if (loops.get(shard) === loop) loops.delete(shard);
    };
    const leave =
      request.mode === 'shared' ? this.#share(request, begin, end) : this.#readAll(request, begin);
    let stopping: Promise<void> | undefined;
    return {
      loop: (shard) => loops.get(shard),
      reopen: (shard) => loops.get(shard)?.reopen(),
      stop: () => {
        stopping ??= (async () => {
          await Promise.all([...loops.keys()].map(end));
          await leave();
        })();
        return stopping;
      },
    };
  }

  /** Logs what went wrong with a log; the same only now and then. */
  complain(what: string, details: Readonly<Record<string, unknown>>): void {
    if (this.#options.told?.(details['err']) === true) return;
    const id = `${what}/${String(details['log'])}/${String(details['group'])}`;
    const now = performance.now();
    if (now - (this.#complained.get(id) ?? Number.NEGATIVE_INFINITY) < COMPLAIN_EVERY_MS) return;
    this.#complained.set(id, now);
    this.#options.logger.warn(details, what);
  }

  #readAll(request: JoinRequest<E>, begin: (shard: number, notNow: NotNow) => void): () => Promise<void> {
    for (let shard = 0; shard < request.shards; shard++) begin(shard, () => this.#rest());
    return () => Promise.resolve();
  }

  /** Spreads the shards: a lease each. A shard that is not wanted now goes back, so that another member may try. */
  #share(
    request: JoinRequest<E>,
    begin: (shard: number, notNow: NotNow, lease: Lease) => void,
    end: (shard: number) => Promise<void>,
  ): () => Promise<void> {
    const notNow: NotNow = async (shard) => {
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
    source: Source<E>,
    { shard, lease }: { readonly shard: number; readonly lease: Lease | undefined },
    notNow: NotNow,
  ): ShardLoop<E> {
    const { observer } = this.#options;
    const { log, group, maxBatch } = request;
    return new ShardLoop<E>({
      shard,
      maxBatch,
      open: (one) => request.open(one, lease),
      read: (one, after, limit) => source.read(one, after, limit),
      closed: (failed) => source.closed?.(shard, failed),
      notNow,
      complain: (what, details) => this.complain(what, { log, group, ...details }),
      gapHealed: () => observer?.gapHealed?.(log),
      repeatsDropped: (count) => observer?.repeatsDropped?.(log, count),
      permits: this.#permits,
    });
  }
}

/** Members that stand at the same place (several live projections of one log) share one read. */
export function sharedReads<E>(read: PageReader<E>): PageReader<E> {
  const reads = new Map<string, Promise<LogPage<E>>>();
  return (log, shard, after, limit) => {
    const id = `${log}/${shard}/${after}/${limit}`;
    const known = reads.get(id);
    if (known) return known;
    const reading = read(log, shard, after, limit).finally(() => reads.delete(id));
    reads.set(id, reading);
    return reading;
  };
}
