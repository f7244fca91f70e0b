/**
 * Whether this process may work on a shard. It may not while the version is paused, being built or retired; and a shard
 * that stands still is tried once by each process (and, where it waits for newer code, now and then), until an operator
 * resumes it or somebody gets past it. Meanwhile it is held without being tried, so that it does not fly from process to
 * process; now and then it is let go, as another may have other code.
 */
import type { AnyReadModel } from '../../domain/tables.js';
import type { Logger } from '../../platform/logger.js';
import type { Database } from '../../platform/postgres/database.js';
import type { Beginning, Beginnings } from '../beginnings.js';
import type { Directives, ShardStop } from '../types.js';
import { clearStop, recordStop } from './store.js';

export interface ShardGateOptions {
  readonly db: Database;
  readonly projection: AnyReadModel;
  readonly beginnings: Pick<Beginnings, 'read'>;
  readonly directives?: Directives | undefined;
  readonly logger: Logger;
  /** A shard was found to stand still that did not before. */
  readonly stopped: (stop: ShardStop) => void;
  /** After how long a shard that waits for newer code is tried again, and any that waits is let go; ms. */
  readonly retryMs: number;
}

/** Where nobody tells when something changes, it is looked for so often. */
const LOOK_EVERY_MS = 1_000;

interface Own {
  readonly stop: ShardStop;
  /** When it may be tried again; monotonic ms. */
  readonly until: number;
  /** Others see it too: when they do not any more, it is over. */
  seen: boolean;
}

const idOf = (source: string, shard: number): string => `${source}/${shard}`;

export class ShardGate {
  readonly #options: ShardGateOptions;
  /** Shards that this process came to a stop at. */
  readonly #own = new Map<string, Own>();
  readonly #waiting = new Set<() => void>();
  readonly #deaf: (() => void) | undefined;
  #changes = 0;
  #ended = false;

  constructor(options: ShardGateOptions) {
    this.#options = options;
    this.#deaf = options.directives?.onChange(() => this.#look());
  }

  /** The stops that this process came to; what needs a person first. */
  get stops(): readonly ShardStop[] {
    return [...this.#own.values()]
      .map(({ stop }) => stop)
      .toSorted((a, b) => (a.kind < b.kind ? -1 : Number(a.kind > b.kind)));
  }

  /**
   * Where the shard begins, once it may be worked on; undefined when it may not for long, or when this process ends.
   * @throws as `Database.query`; Error when the read model has no such shard
   */
  async admit(source: string, shard: number): Promise<Beginning | undefined> {
    const until = performance.now() + this.#options.retryMs;
    while (!this.#ended) {
      const changes = this.#changes;
      const begin = await this.#options.beginnings.read(source, shard);
      if (!begin) throw new Error(`the read model knows no shard ${shard} of ${source}`);
      if (this.#ended) break;
      if (this.#mayTry(idOf(source, shard), begin)) return begin;
      const left = until - performance.now();
      if (left <= 0) break;
      if (changes === this.#changes) await this.#wait(Math.min(left, LOOK_EVERY_MS));
    }
    return undefined;
  }

  #mayTry(id: string, { seq, closed, stoppedAt }: Beginning): boolean {
    if (closed) return false;
    const own = this.#own.get(id);
    if (own && (stoppedAt === undefined || seq + 1 !== own.stop.seq)) this.#own.delete(id);
    else if (own) return own.stop.kind === 'needs_newer_code' && own.until <= performance.now();
    return true;
  }

  /** The shard stands still from now on, for all to see. Never throws. */
  async close(stop: ShardStop, error?: unknown): Promise<void> {
    const { db, projection, logger, stopped, retryMs } = this.#options;
    const id = idOf(stop.source, stop.shard);
    const known = this.#own.get(id)?.stop;
    this.#own.set(id, { stop, until: performance.now() + retryMs, seen: false });
    if (known?.reason !== stop.reason || known.seq !== stop.seq) {
      const text =
        stop.kind === 'halted'
          ? 'a shard of the projection halted; the others go on'
          : 'an event is newer than this code; its shard waits for newer code';
      logger.error({ err: error, reason: stop.reason, source: stop.source, shard: stop.shard }, text);
      stopped(stop);
    }
    try {
      await recordStop(db, projection, stop);
    } catch (err) {
      // Nobody else knows then, so that it is tried again soon.
      logger.warn({ err }, 'that a shard stands still could not be written down');
    }
  }

  /** The shard got past its stop. Never throws: whoever gets there next says it again. */
  async open(source: string, shard: number): Promise<void> {
    const { db, projection, logger } = this.#options;
    this.#own.delete(idOf(source, shard));
    try {
      await clearStop(db, projection, source, shard);
      logger.info({ source, shard }, 'a shard of the projection goes on');
    } catch (err) {
      logger.warn({ err }, 'that a shard goes on could not be written down');
    }
  }

  /** Nobody waits any more. */
  end(): void {
    this.#ended = true;
    this.#deaf?.();
    this.#wake();
  }

  #look(): void {
    const facts = this.#options.directives?.facts(this.#options.projection.name);
    for (const [id, own] of this.#own) {
      const there = facts?.stops.some(({ source, shard }) => idOf(source, shard) === id) ?? own.seen;
      if (there) own.seen = true;
      else if (own.seen) this.#own.delete(id);
    }
    this.#changes++;
    this.#wake();
  }

  #wake(): void {
    for (const wake of this.#waiting) wake();
  }

  async #wait(ms: number): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    let wake: () => void = () => undefined;
    await new Promise<void>((resolve) => {
      wake = resolve;
      this.#waiting.add(wake);
      timer = setTimeout(resolve, ms);
    });
    this.#waiting.delete(wake);
    clearTimeout(timer);
  }
}
