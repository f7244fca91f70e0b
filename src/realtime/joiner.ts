/**
 * Brings subscriptions up: snapshot, then what the log has after it, then into the topic. It holds a place in the ring
 * and no copy of what is there, so a slow client costs the server nothing, and sends only what the client can take.
 *
 *   verify → replay            a position was given that this process cannot judge yet
 *   snapshot → replay → live   every way goes through replay
 *   held → snapshot            from any of them by a reset, which goes out when its turn has come (resets.ts)
 *
 * Frames of one subscription: snap* → (chg with id)* → live → chg with ch. After a reset from the beginning; before it,
 * from when the log was broken, nothing.
 */
import { isTidemarkError } from '../platform/errors.js';
import type { Logger } from '../platform/logger.js';
import type { ResetReason, SocketErrorCode } from '../protocol/frames.js';
import type { From } from './bindings.js';
import type { Channel } from './channels.js';
import { encodeChanges, encodeError, encodeLive, encodeReset, encodeSnap } from './encoding.js';
import type { FollowedLog, Waiter } from './followed-log.js';
import type { GatewaySettings } from './options.js';
import type { GatewayObserver } from './ports.js';
import { changedKeys, replay } from './replay.js';
import type { Held, Resets } from './resets.js';
import type { SnapshotPages, Snapshots } from './snapshots.js';
import { Approach } from './windows/approach.js';

/** The session that the subscriptions belong to. */
export interface JoinerHost {
  /** The client reads what it is sent, so that more may be sent. */
  writable(): boolean;
  send(text: string): void;
  cork(work: () => void): void;
  /** The subscriptions are live: the socket joins the channel’s topic, in this turn. */
  seated(joiner: Joiner): void;
  /** The subscriptions have ended with an `err`. */
  gaveUp(joiner: Joiner): void;
}

export interface JoinerDeps {
  readonly settings: GatewaySettings;
  readonly observer: GatewayObserver;
  readonly snapshots: Snapshots;
  readonly resets: Resets;
  readonly logger: Logger;
  /** Has `pump` called in a later turn. */
  schedule(joiner: Joiner): void;
}

/** What is joined. */
export interface Joining {
  readonly log: FollowedLog;
  readonly channel: Channel;
  /** Of the rights that the subscriptions stand under: the end of the epoch that the client is given. */
  readonly mark: string;
}

type Phase = 'verify' | 'held' | 'snapshot' | 'replay' | 'ended';

export class Joiner implements Waiter, Held {
  readonly log: FollowedLog;
  readonly channel: Channel;
  /** Subscriptions that are brought up together: they stand at the same place. */
  readonly ids: Set<string>;
  readonly mark: string;
  readonly #deps: JoinerDeps;
  readonly #host: JoinerHost;
  #phase: Phase = 'snapshot';
  /** Something is awaited; `pump` does nothing until then. */
  #waiting = false;
  /** Results of what was awaited before a restart are dropped. */
  #run = 0;
  /** Since when nothing could be sent because something is awaited. */
  #stuckSince: number | undefined;
  #from: From | undefined;
  /** Why it is held, or was reset. */
  #reason: ResetReason | undefined;
  #pages: SnapshotPages | undefined;
  #page = 0;
  /** False: the snapshot was read, but slow clients keep too many. */
  #hasRoom = true;
  /** Looked at up to here, shard → seq. */
  #at = new Map<number, number>();
  /**
   * What the client knows to have at the least: where its next part must begin. 0 after a snapshot and after a cursor, as
   * it learns its position from `live` only.
   */
  #base = new Map<number, number>();
  #replayed = 0;
  /** Of a window. */
  readonly #approach: Approach | undefined;

  constructor(deps: JoinerDeps, host: JoinerHost, { log, channel, mark }: Joining, ids: Iterable<string>) {
    this.#deps = deps;
    this.#host = host;
    this.log = log;
    this.channel = channel;
    this.mark = mark;
    this.ids = new Set(ids);
    if (channel.window) this.#approach = new Approach(channel.window, deps.settings.outFrameBytes);
  }

  /** Begins at a position that a client gave. */
  resume(from: From): void {
    this.#from = from;
    if (from.foreign) return this.restart('epoch_changed');
    const known = from.epoch === this.log.epoch && !this.#isAhead(from, this.log.position);
    if (known) this.#replayFrom(from);
    else this.#phase = 'verify';
  }

  /** Begins where live subscriptions leave their topic. @param sent up to where the channel’s parts went */
  reenter(sent: ReadonlyMap<number, number>): void {
    this.#phase = 'replay';
    // A window holds back what it cannot show yet.
    this.#at = this.channel.window
      ? new Map(sent)
      : new Map(this.channel.shards.map((shard) => [shard, this.log.position[shard] ?? 0]));
    this.#base = new Map(sent);
  }

  /** Its turn having come, tells the client that its rows no longer hold, and begins with a new snapshot. */
  restart(reason: ResetReason): void {
    this.#settle();
    this.#dropPages();
    this.#approach?.resume(false);
    this.#reason = reason;
    if (this.#phase === 'held') return;
    this.#phase = 'held';
    this.#deps.resets.add(this);
  }

  release(): boolean {
    const reason = this.#reason;
    if (this.#phase !== 'held' || reason === undefined) return false;
    this.#phase = 'snapshot';
    this.#deps.observer.reset?.(this.log.projection.name, reason);
    this.#each((id) => encodeReset(id, reason));
    this.#deps.schedule(this);
    return true;
  }

  /** One of the subscriptions was ended. @returns true when none is left */
  remove(id: string): boolean {
    this.ids.delete(id);
    if (this.ids.size > 0) return false;
    this.end();
    return true;
  }

  end(): void {
    this.#settle();
    if (this.#phase === 'held') this.#deps.resets.forget(this);
    this.#phase = 'ended';
    this.#dropPages();
  }

  /**
   * Waits for the database, the feed or those who hold up their snapshots, and has done so for too long. As long as snapshots
   * come, its own will.
   */
  expired(now: number): boolean {
    if (!this.#waiting || this.#stuckSince === undefined) return false;
    const moved = this.#phase === 'snapshot' && this.#hasRoom ? this.#deps.snapshots.lastRead : 0;
    return now - Math.max(this.#stuckSince, moved) > this.#deps.settings.joinTimeoutMs;
  }

  fail(code: SocketErrorCode, message?: string): void {
    this.#each((id) => encodeError(id, code, message));
    this.#deps.observer.failed?.(code);
    this.end();
    this.#host.gaveUp(this);
  }

  /** The log moved on. */
  wake(): void {
    this.#waiting = false;
    this.#deps.schedule(this);
  }

  /** Does what can be done now: until something must be awaited, the client must read first, or all is done. */
  pump(): void {
    if (!this.#ready()) return;
    try {
      this.#host.cork(() => {
        while (this.#ready()) this.#step();
      });
    } catch (error) {
      // The neighbours go on.
      this.#broke(error);
    }
  }

  #ready(): boolean {
    const isMoving = this.#phase !== 'held' && this.#phase !== 'ended';
    return isMoving && !this.#waiting && this.#host.writable();
  }

  #step(): void {
    switch (this.#phase) {
      case 'verify':
        return this.#verify();
      case 'snapshot':
        return this.#sendSnapshot();
      case 'replay':
        return this.#replay();
      case 'held':
      case 'ended':
    }
  }

  #verify(): void {
    this.#await(this.log.check(), (heads) => {
      const from = this.#from;
      if (!from || from.epoch !== this.log.epoch) return this.restart('epoch_changed');
      const head: number[] = [];
      for (const one of heads) if (one.log === this.log.log) head[one.shard] = one.head;
      if (this.#isAhead(from, head)) this.restart('position_ahead');
      else this.#replayFrom(from);
    });
  }

  #isAhead(from: From, heads: readonly number[]): boolean {
    return from.pos.some(([shard, seq]) => seq > (heads[shard] ?? 0));
  }

  #replayFrom({ pos, opaque }: From): void {
    const position = new Map(pos);
    this.#phase = 'replay';
    this.#at = new Map(this.channel.shards.map((shard) => [shard, position.get(shard) ?? 0]));
    this.#base = opaque ? new Map() : new Map(this.#at);
    this.#approach?.resume(opaque, this.#at);
    if (this.#distance() > this.#deps.settings.maxReplayChanges) this.restart('too_far_behind');
  }

  #sendSnapshot(): void {
    const pages = this.#pages;
    if (!pages) {
      const wasReset = this.#reason !== undefined;
      const reading = this.#deps.snapshots.read(this.log, this.channel, wasReset);
      this.#await(reading, (read) => this.#gotSnapshot(read));
      return;
    }
    const rows = pages.pages[this.#page] ?? '';
    this.#page++;
    const more = this.#page < pages.pages.length;
    this.#each((id) => encodeSnap(id, rows, more));
    if (more) return;
    this.#at = new Map(this.channel.shards.map((shard) => [shard, pages.pos.get(shard) ?? 0]));
    this.#base = new Map();
    if (pages.shown) this.#approach?.snapshotSent(pages.shown);
    this.#dropPages();
    this.#phase = 'replay';
  }

  #dropPages(): void {
    this.#pages = undefined;
    this.#page = 0;
    this.#deps.snapshots.held.release(this);
  }

  #gotSnapshot(read: SnapshotPages): void {
    if (read.tooMany)
      return this.fail(
        'too_many_rows',
        `the snapshot would have more than ${this.#deps.settings.maxSnapshotRows} rows, or 64 MiB of them; subscribe to less`,
      );
    if (read.epoch === this.log.epoch) {
      const { held } = this.#deps.snapshots;
      this.#hasRoom = held.hold(this, read);
      if (this.#hasRoom) this.#pages = read;
      // Nobody reads for it until then.
      else this.#await(held.released(), () => undefined);
      return;
    }
    // The log was rebuilt between: once we follow the new one, the snapshot is read again.
    this.#await(this.log.check(), () => undefined);
  }

  #replay(): void {
    const { position } = this.log;
    const behind = this.channel.shards.filter((shard) => this.#atOf(shard) < (position[shard] ?? 0));
    if (this.channel.shards.some((shard) => this.#atOf(shard) > (position[shard] ?? 0))) {
      // The snapshot is ahead of the feed: what comes until then is in it already.
      this.#waiting = true;
      this.#stuckSince ??= performance.now();
      return this.log.wait(this);
    }
    const missing = behind.filter((shard) => !this.log.covers(shard, this.#atOf(shard)));
    if (missing.length > 0 && !this.#approach?.isKnown) return this.#fetch(missing);
    if (this.#approach) return this.#follow(this.#approach);
    const found = replay(this, { at: this.#at, base: this.#base }, behind, this.#deps.settings.outFrameBytes);
    this.#replayed += found.rows;
    if (found.parts.length > 0) this.#each((id) => encodeChanges({ id }, found.at, found.parts));
    if (found.complete) this.#goLive();
  }

  /** What the client lacks of a window. */
  #follow(approach: Approach): void {
    const { window } = this.channel;
    if (window && !window.settled) return this.#await(window.whenSettled(), () => undefined);
    const { position } = this.log;
    const missed = approach.next(position, () => changedKeys(this, this.#at));
    if (!missed) return this.restart('too_far_behind');
    if (missed.length === 0) return this.#goLive();
    for (const shard of this.channel.shards) this.#at.set(shard, position[shard] ?? 0);
    const parts = approach.take(this.#base);
    this.#replayed += parts[0]?.rows.length ?? 0;
    this.#each((id) => encodeChanges({ id }, Date.now(), parts));
  }

  /** The ring does not reach back to where we stand: have it read, if that is not too much. */
  #fetch(missing: readonly number[]): void {
    if (this.#distance() > this.#deps.settings.maxReplayChanges) return this.restart('too_far_behind');
    const fills = missing.map((shard) => this.log.fill(shard, this.#atOf(shard)));
    this.#await(Promise.all(fills), () => {
      const still = missing.filter((shard) => !this.log.covers(shard, this.#atOf(shard)));
      if (still.length === 0) return;
      const trimmed = still.some((shard) => this.#atOf(shard) < this.log.low(shard));
      this.restart(trimmed ? 'trimmed' : 'too_far_behind');
    });
  }

  #goLive(): void {
    const { ch, shards } = this.channel;
    const pos = this.log.positionOf(shards);
    this.#each((id) => encodeLive(id, ch, this.log.epoch + this.mark, pos));
    if (this.#replayed > 0) this.#deps.observer.replayed?.(this.log.projection.name, this.#replayed);
    this.end();
    this.#host.seated(this);
  }

  #atOf(shard: number): number {
    return this.#at.get(shard) ?? 0;
  }

  /** Changes of the log (not: of the channel) that we are behind. */
  #distance(): number {
    const { position } = this.log;
    return this.channel.shards.reduce(
      (sum, shard) => sum + Math.max(0, (position[shard] ?? 0) - this.#atOf(shard)),
      0,
    );
  }

  #each(encode: (id: string) => string): void {
    this.#stuckSince = undefined;
    for (const id of this.ids) this.#host.send(encode(id));
  }

  #await<T>(promise: Promise<T>, then: (value: T) => void): void {
    const run = this.#run;
    this.#waiting = true;
    this.#stuckSince ??= performance.now();
    promise.then(
      (value) => {
        if (run !== this.#run) return;
        this.#waiting = false;
        then(value);
        this.#deps.schedule(this);
      },
      (error: unknown) => {
        if (run === this.#run) this.#broke(error);
      },
    );
  }

  #broke(error: unknown): void {
    // It began to be built anew: nothing is wrong with us.
    if (isTidemarkError(error, 'projection_building')) return this.fail('projection_building', error.message);
    this.#deps.logger.warn({ err: error, log: this.log.log }, 'a subscription could not be brought up');
    this.fail('unavailable');
  }

  #settle(): void {
    this.#run++;
    this.#waiting = false;
    this.log.forget(this);
  }
}
