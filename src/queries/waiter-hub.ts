/**
 * Read your writes: reads wait here until their projection has what a token names. One hub a process: progress hints wake
 * the waiters, and one poll for all of them, only while there are any, finds what no hint told.
 */
import type { AnyReadModel } from '../domain/tables.js';
import { systemClock, type Clock } from '../platform/clock.js';
import { TidemarkError } from '../platform/errors.js';
import type { Logger } from '../platform/logger.js';
import type { Database } from '../platform/postgres/database.js';
import type { Wakeups } from '../platform/wakeups.js';
import type { Directives, ProjectionState } from '../projections/types.js';
import type { TokenPayload } from '../protocol/positions.js';
import { positionExpired } from './positions.js';
import { Progress, type Track } from './progress.js';

interface Need {
  readonly track: Track;
  readonly shard: number;
  readonly seq: number;
  readonly epoch: string;
}

interface Waiter {
  readonly needs: readonly Need[];
  /** The first poll that begins after the waiter came. */
  readonly firstPoll: number;
  /** It needs a poll soon: what it waits for was not heard of lately, or its time is over. */
  urgent: boolean;
  expired: boolean;
  timer: NodeJS.Timeout;
  settle(error?: TidemarkError): void;
}

/** How long an answer may be late because the last look takes its time. */
const LAST_LOOK_MS = 1_000;

const isMet = ({ track, shard, seq, epoch }: Need): boolean => track.epoch === epoch && track.has(shard, seq);

export interface WaiterHubOptions {
  readonly projections: readonly AnyReadModel[];
  readonly db: Database;
  readonly wakeups: Wakeups;
  readonly logger: Logger;
  /** What holds a projection up, wherever its projectors run. */
  readonly directives?: Directives;
  /** Reads that may wait at a time; 10,000 by default. */
  readonly maxWaiters?: number;
  /** Milliseconds between two polls while anyone waits; 100 by default. */
  readonly pollMs?: number;
  /** What was heard longer ago is asked again before a read relies on it (milliseconds; 5,000 by default). */
  readonly freshMs?: number;
  readonly clock?: Clock;
}

export class WaiterHub {
  readonly #options: WaiterHubOptions;
  readonly #progress: Progress;
  readonly #clock: Clock;
  readonly #waiters = new Set<Waiter>();
  readonly #byShard = new Map<Track, Map<number, Set<Waiter>>>();
  readonly #unlisten: (() => void) | undefined;
  #begun = 0;
  #polling = false;
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;

  constructor(options: WaiterHubOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#progress = new Progress({
      ...options,
      clock: this.#clock,
      advanced: (track, shard) => this.#advanced(track, shard),
    });
    // Who waits for what is held up now need not wait for their time to be over.
    this.#unlisten = options.directives?.onChange(() => {
      if (this.#waiters.size > 0) void this.#poll();
    });
  }

  /** Reads that wait now. */
  get waiting(): number {
    return this.#waiters.size;
  }

  /**
   * Resolves once all `projections` have what the tokens name of the logs they follow; other logs are ignored.
   * @param waitMs how long to wait at the most; with 0 it is looked up once
   * @param signal ends the wait when the client goes away
   * @throws TidemarkError `position_expired`, `projection_behind`, `projection_halted`, `projection_paused`,
   *   `needs_newer_code`, `overloaded`, `not_ready` (the hub stops), `request_aborted`
   */
  async wait(
    projections: readonly AnyReadModel[],
    tokens: readonly TokenPayload[],
    waitMs: number,
    signal?: AbortSignal,
  ): Promise<void> {
    const needs = this.#needsOf(projections, tokens);
    if (needs.length === 0 || this.#hasAll(needs)) return;
    if (this.#stopped) throw stopping();
    if (signal?.aborted) throw aborted();
    if (this.#waiters.size >= (this.#options.maxWaiters ?? 10_000)) {
      throw new TidemarkError('overloaded', 'too many reads wait for projections', { retryAfter: 1 });
    }
    await new Promise<void>((resolve, reject) => {
      const waiter: Waiter = {
        needs,
        firstPoll: this.#begun + 1,
        urgent: waitMs === 0 || !this.#isFresh(needs) || this.#stuck(needs) !== undefined,
        expired: waitMs === 0,
        timer: setTimeout(() => this.#expire(waiter), waitMs),
        settle: (error) => {
          clearTimeout(waiter.timer);
          signal?.removeEventListener('abort', onAbort);
          this.#remove(waiter);
          if (error) reject(error);
          else resolve();
        },
      };
      const onAbort = (): void => waiter.settle(aborted());
      signal?.addEventListener('abort', onAbort, { once: true });
      this.#add(waiter);
    });
  }

  /** Ends all waits and listens no more. May be called twice. */
  stop(): void {
    this.#stopped = true;
    this.#unlisten?.();
    this.#progress.stop();
    clearTimeout(this.#timer);
    for (const waiter of this.#waiters) waiter.settle(stopping());
  }

  #needsOf(projections: readonly AnyReadModel[], tokens: readonly TokenPayload[]): Need[] {
    const needs: Need[] = [];
    for (const { logs } of tokens) {
      for (const [log, { epoch, pos }] of Object.entries(logs)) {
        for (const projection of projections) {
          const track = this.#progress.track(projection, log);
          if (track) for (const [shard, seq] of pos) needs.push({ track, shard, seq, epoch });
        }
      }
    }
    return needs;
  }

  /** Only what was heard lately counts: a rebuild or a restore may have set the rest back. */
  #isFresh(needs: readonly Need[]): boolean {
    const since = this.#clock.monotonic() - (this.#options.freshMs ?? 5_000);
    return needs.every(({ track, shard }) => track.freshSince(shard, since));
  }

  #hasAll(needs: readonly Need[]): boolean {
    return needs.every(isMet) && this.#isFresh(needs);
  }

  #add(waiter: Waiter): void {
    this.#waiters.add(waiter);
    for (const { track, shard } of waiter.needs) {
      const shards = this.#byShard.get(track) ?? new Map<number, Set<Waiter>>();
      this.#byShard.set(track, shards);
      const set = shards.get(shard) ?? new Set();
      shards.set(shard, set.add(waiter));
    }
    // Where all was heard of lately, a hint will tell, most likely within milliseconds.
    if (waiter.urgent) void this.#poll();
    else this.#schedule();
  }

  #remove(waiter: Waiter): void {
    this.#waiters.delete(waiter);
    for (const { track, shard } of waiter.needs) {
      const shards = this.#byShard.get(track);
      const set = shards?.get(shard);
      set?.delete(waiter);
      if (set?.size === 0) shards?.delete(shard);
      if (shards?.size === 0) this.#byShard.delete(track);
    }
    if (this.#waiters.size === 0) {
      clearTimeout(this.#timer);
      this.#timer = undefined;
    }
  }

  #advanced(track: Track, shard: number): void {
    for (const waiter of this.#byShard.get(track)?.get(shard) ?? []) {
      if (this.#hasAll(waiter.needs)) waiter.settle();
    }
  }

  /** Nobody is told "behind" on what was only heard: a poll that began after the waiter came has the last word. */
  #expire(waiter: Waiter): void {
    waiter.expired = true;
    waiter.urgent = true;
    // Unless Postgres does not answer at all.
    waiter.timer = setTimeout(() => waiter.settle(behind(waiter)), LAST_LOOK_MS);
    void this.#poll();
  }

  #schedule(): void {
    if (this.#timer || this.#stopped || this.#waiters.size === 0) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      void this.#poll();
    }, this.#options.pollMs ?? 100);
    this.#timer.unref();
  }

  async #poll(): Promise<void> {
    if (this.#polling || this.#stopped) return;
    this.#polling = true;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const poll = ++this.#begun;
    let failed = false;
    try {
      // What held them up a moment ago may have gone on.
      const stuck = [...this.#waiters].some(({ needs }) => this.#stuck(needs) !== undefined);
      if (stuck) await this.#options.directives?.look?.();
      await this.#progress.ask([...this.#byShard.keys()]);
    } catch (error) {
      failed = true;
      this.#options.logger.warn({ err: error }, 'could not read the progress of projections');
    }
    this.#polling = false;
    for (const waiter of this.#waiters) {
      if (waiter.firstPoll <= poll) this.#judge(waiter, failed);
    }
    // Whoever came while this poll ran has not been looked up yet.
    if ([...this.#waiters].some((waiter) => waiter.urgent && waiter.firstPoll > poll)) void this.#poll();
    else this.#schedule();
  }

  /** What a poll means for one waiter; when the poll failed, only that its time may be over. */
  #judge(waiter: Waiter, failed: boolean): void {
    if (!failed) {
      if (waiter.needs.some(({ track, epoch }) => track.epoch !== epoch)) {
        return waiter.settle(positionExpired('after: the token is of an earlier epoch'));
      }
      if (waiter.needs.every(isMet)) return waiter.settle();
      waiter.urgent = false;
      const stuck = this.#stuck(waiter.needs);
      if (stuck) return waiter.settle(stuck);
    }
    if (waiter.expired) waiter.settle(behind(waiter));
  }

  /** Nothing that is waited for comes before somebody acts. */
  #stuck(needs: readonly Need[]): TidemarkError | undefined {
    for (const need of needs) {
      const cause = isMet(need) ? undefined : this.#causeOf(need);
      if (cause) return standstill(need.track.projection.name, cause);
    }
    return undefined;
  }

  #causeOf({ track: { projection, source }, shard, seq }: Need): ProjectionState | undefined {
    const facts = this.#options.directives?.facts(projection.name);
    if (facts?.state === 'paused') return 'paused';
    return facts?.stops.find((stop) => stop.source === source && stop.shard === shard && stop.seq <= seq)
      ?.kind;
  }
}

function standstill(name: string, cause: ProjectionState): TidemarkError | undefined {
  switch (cause) {
    case 'halted': {
      const message = `projection ${name} has halted before it had what \`after\` names`;
      return new TidemarkError('projection_halted', message, { retryAfter: 30 });
    }
    case 'needs_newer_code': {
      const message = `projection ${name} has met an event that is newer than the code of its projectors`;
      return new TidemarkError('needs_newer_code', message, { retryAfter: 5 });
    }
    case 'paused': {
      const message = `projection ${name} is paused, and has not what \`after\` names`;
      return new TidemarkError('projection_paused', message, { retryAfter: 30 });
    }
    default:
      return undefined;
  }
}

function behind({ needs }: Waiter): TidemarkError {
  const late = needs.filter((need) => !isMet(need));
  const names = new Set(late.map(({ track }) => track.projection.name));
  return new TidemarkError(
    'projection_behind',
    `${[...names].join(', ') || 'the view'} has not caught up with \`after\` yet`,
    { retryAfter: 1 },
  );
}

const stopping = (): TidemarkError =>
  new TidemarkError('not_ready', 'this process is stopping', { retryAfter: 1 });
const aborted = (): TidemarkError => new TidemarkError('request_aborted', 'the client went away');
