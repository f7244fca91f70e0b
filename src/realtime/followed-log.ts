/**
 * One change log as the gateway follows it: its position, the newest changes, its open channels. It moves on only here,
 * in one turn of the loop per batch: position, ring and what the channels publish never disagree between two turns.
 */
import type { LogPage } from '../event-store/types.js';
import type { Feed, Membership, ShardReader } from '../broker/ports.js';
import type { AnyProjection } from '../domain/projection.js';
import { TidemarkError } from '../platform/errors.js';
import type { Logger } from '../platform/logger.js';
import type { LogHead } from '../platform/postgres/logs.js';
import type { ChangeEntry, ServingGate } from '../projections/types.js';
import type { ResetReason } from '../protocol/frames.js';
import { changeLogName, type ShardSeq } from '../protocol/positions.js';
import { Backfill } from './backfill.js';
import { Change } from './change.js';
import { Channels } from './channels.js';
import { Coalesced } from '../platform/coalesced.js';
import { encodeChanges } from './encoding.js';
import type { GatewaySettings } from './options.js';
import { readableHeads, untilWorks } from './patience.js';
import type { ChangeSource, GatewayObserver } from './ports.js';
import type { Reads } from './reads.js';
import { Ring } from './ring.js';
import type { WindowBudget } from './windows/budget.js';
import { Windows, type WindowsDeps } from './windows/windows.js';

const MAX_BATCH = 500;
/** So long what was read for a replay is kept, for those who come a little later. */
const HOLD_MS = 5_000;

export interface FollowedLogDeps {
  readonly projection: AnyProjection;
  readonly shards: number;
  readonly source: ChangeSource;
  readonly feed: Feed<ChangeEntry>;
  /** Which views may be read; all of them without it. */
  readonly gate?: ServingGate | undefined;
  /** Consumer group of this gateway; no other process uses it. */
  readonly group: string;
  readonly settings: GatewaySettings;
  readonly observer: GatewayObserver;
  readonly logger: Logger;
  readonly reads: Reads;
  readonly budget: WindowBudget;
  nextCh(): number;
  /** To every socket of a topic. */
  publish(topic: string, text: string): void;
  /** Asked before about so many bytes are published: the time to look at who does not read. */
  makeRoom(bytes: number): void;
  /** The chain was broken: every subscription of this log starts again from a snapshot. */
  broken(log: FollowedLog, reason: ResetReason): void;
  /** A window can be kept up no more. */
  readonly abandoned: WindowsDeps['abandoned'];
}

/** Woken when the log moved on. */
export interface Waiter {
  wake(): void;
}

export class FollowedLog {
  readonly projection: AnyProjection;
  readonly log: string;
  readonly channels: Channels;
  readonly #windows: Windows;
  readonly #deps: FollowedLogDeps;
  readonly #backfill: Backfill;
  readonly #check: Coalesced<readonly LogHead[]>;
  readonly #waiters = new Set<Waiter>();
  #epoch = '';
  #generation = 0;
  #position: number[] = [];
  /** `position` when heads were last seen. */
  #seen: number[] = [];
  #rings: Ring[] = [];
  #heldUntil = 0;
  #membership: Membership | undefined;
  #reloading: Promise<void> | undefined;
  readonly #stopped = new AbortController();

  constructor(deps: FollowedLogDeps) {
    this.#deps = deps;
    this.projection = deps.projection;
    this.log = changeLogName(deps.projection.name, deps.projection.version);
    this.#windows = new Windows({ ...deps, log: this });
    this.channels = new Channels(deps.projection.channels.length, deps.nextCh, this.#windows);
    this.#check = new Coalesced(() => this.#compare());
    this.#backfill = new Backfill(deps.shards, {
      tuples: deps.projection.channels,
      ring: (shard) => this.#ring(shard),
      read: (shard, after, limit) => this.#read(shard, after, limit),
      room: () => deps.settings.replayBytes - this.#ringBytes(),
      filled: (changes) => {
        this.#heldUntil = performance.now() + HOLD_MS;
        deps.observer.backfilled?.(this.projection.name, changes);
      },
    });
  }

  get epoch(): string {
    return this.#epoch;
  }

  /** Changes when the chain was broken. */
  get generation(): number {
    return this.#generation;
  }

  /** Last seq per shard that was published to the channels. */
  get position(): readonly number[] {
    return this.#position;
  }

  /** `position` as it goes to a client, for the shards that matter to it. */
  positionOf(shards: readonly number[]): ShardSeq[] {
    return shards.flatMap((shard): ShardSeq[] => {
      const seq = this.#position[shard] ?? 0;
      return seq > 0 ? [[shard, seq]] : [];
    });
  }

  /** @throws whatever reading the heads or joining the feed throws */
  async start(): Promise<void> {
    this.#begin(await this.#deps.source.heads([this.log]));
    await this.#join();
  }

  async stop(): Promise<void> {
    this.#stopped.abort();
    await this.#reloading?.catch(() => undefined);
    await this.#membership?.stop();
  }

  /** Everything after `after` is in the ring. */
  covers(shard: number, after: number): boolean {
    return this.#ring(shard).start <= after;
  }

  /** Reads into the ring what is missing after `after`; see `Backfill.fill`. */
  fill(shard: number, after: number): Promise<void> {
    return this.#backfill.fill(shard, after);
  }

  low(shard: number): number {
    return this.#backfill.low(shard);
  }

  /** A change that the ring covers. */
  change(shard: number, seq: number): Change {
    return this.#ring(shard).at(seq);
  }

  /** Wakes `waiter` once, after the log has moved on (or was broken). */
  wait(waiter: Waiter): void {
    this.#waiters.add(waiter);
  }

  forget(waiter: Waiter): void {
    this.#waiters.delete(waiter);
  }

  /** Heads as they are now. When they show another epoch or fewer entries than we gave out, the chain is broken first. */
  check(): Promise<readonly LogHead[]> {
    return this.#check.call();
  }

  /** Heads that someone else read: a hint that the epoch may have changed. */
  headsSeen(heads: readonly LogHead[]): void {
    const suspicious = heads.some(
      ({ log, shard, epoch, head }) =>
        log === this.log && (epoch !== this.#epoch || head < (this.#seen[shard] ?? 0)),
    );
    // Heads that were read a moment ago may be behind what came since.
    this.#seen = [...this.#position];
    if (!suspicious) return;
    this.#checkSoon();
  }

  #checkSoon(): void {
    this.check().catch((error: unknown) =>
      this.#deps.logger.warn({ err: error, log: this.log }, 'heads could not be read'),
    );
  }

  /** Looks after windows whose rows could not be read. @param now ms of a clock that never runs backwards */
  checkWindows(now: number): void {
    this.#windows.check(now);
  }

  /** Links with no rows for every channel whose turn it is, and rings back to their size. */
  sweep(turn: number, turns: number): void {
    this.#trim();
    for (const channel of this.channels) {
      if (channel.seats === 0 || channel.ch % turns !== turn) continue;
      const links = channel.quietLinks(this.#position);
      if (links.length > 0)
        this.#deps.publish(channel.topic, encodeChanges({ ch: channel.ch }, Date.now(), links));
    }
  }

  #ring(shard: number): Ring {
    const ring = this.#rings[shard];
    if (!ring) throw new RangeError(`shard ${shard} of ${this.log}`);
    return ring;
  }

  #ringBytes(): number {
    return this.#rings.reduce((sum, ring) => sum + ring.bytes, 0);
  }

  #trim(): void {
    const { ringBytes, replayBytes } = this.#deps.settings;
    if (performance.now() < this.#heldUntil && this.#ringBytes() <= replayBytes) return;
    for (const ring of this.#rings) ring.trim(ringBytes);
  }

  #begin(heads: readonly LogHead[]): void {
    const own = heads.filter(({ log }) => log === this.log);
    const epochs = new Set(own.map(({ epoch }) => epoch));
    const [epoch] = epochs;
    if (own.length !== this.#deps.shards || epochs.size !== 1 || epoch === undefined)
      throw new TidemarkError(
        'log_unreadable',
        `log ${this.log}: expected ${this.#deps.shards} shards of one epoch, found ${own.length} of ${epochs.size}`,
      );
    this.#epoch = epoch;
    this.#position = Array.from({ length: this.#deps.shards }, () => 0);
    for (const { shard, head } of own) this.#position[shard] = head;
    this.#seen = [];
    this.#rings = this.#position.map((head) => new Ring(head));
    this.#backfill.restart();
  }

  /** A page for a replay. Of a log that was rebuilt in place, it is none of ours: the chain is broken first. */
  async #read(shard: number, after: number, limit: number): Promise<LogPage<ChangeEntry>> {
    const generation = this.#generation;
    const page = await this.#deps.source.readChanges(this.log, shard, after, limit);
    if (page.kind === 'trimmed' || generation !== this.#generation) return page;
    if (page.entries.every(({ epoch }) => epoch === this.#epoch)) return page;
    await this.check();
    if (generation !== this.#generation) return page;
    throw this.#foreign(shard);
  }

  #foreign(shard: number): TidemarkError {
    return new TidemarkError('log_unreadable', `${this.log}/${shard}: entries of another epoch than its own`);
  }

  async #join(): Promise<void> {
    this.#membership = await this.#deps.feed.join({
      log: this.log,
      shards: this.#deps.shards,
      group: this.#deps.group,
      mode: 'every',
      maxBatch: MAX_BATCH,
      open: (shard) => Promise.resolve(this.#reader(shard)),
    });
  }

  #reader(shard: number): ShardReader<ChangeEntry> {
    const generation = this.#generation;
    return {
      after: this.#position[shard] ?? 0,
      handle: async (entries) => {
        if (generation !== this.#generation) return;
        if (entries.every(({ epoch }) => epoch === this.#epoch)) return this.#take(shard, entries);
        // Rebuilt in place under us. Not awaited: what breaks the chain waits for this very call.
        this.#checkSoon();
        throw this.#foreign(shard);
      },
      trimmed: (low) => {
        // Of a log that nobody watches, it is no loss: its first build ends so.
        this.#deps.logger[this.channels.size > 0 ? 'warn' : 'info'](
          { log: this.log, shard, low },
          'changes were trimmed before they were published',
        );
        setImmediate(() => void this.#reload('trimmed'));
      },
    };
  }

  #take(shard: number, entries: readonly ChangeEntry[]): void {
    const { outFrameBytes } = this.#deps.settings;
    let chunk: Change[] = [];
    let bytes = 0;
    for (const entry of entries) {
      const last = chunk.at(-1)?.seq ?? this.#position[shard] ?? 0;
      if (entry.seq <= last) continue;
      if (entry.seq !== last + 1)
        throw new TidemarkError('log_hole', `${this.log}/${shard}: after ${last} came ${entry.seq}`);
      const change = new Change(entry, this.projection.channels);
      if (chunk.length > 0 && bytes + change.bytes > outFrameBytes) {
        this.#advance(shard, chunk, bytes);
        chunk = [];
        bytes = 0;
      }
      chunk.push(change);
      bytes += change.bytes;
    }
    if (chunk.length > 0) this.#advance(shard, chunk, bytes);
    const waiters = [...this.#waiters];
    this.#waiters.clear();
    for (const waiter of waiters) waiter.wake();
  }

  #advance(shard: number, changes: readonly Change[], bytes: number): void {
    // A change may go to the whole view, its key, and every tuple before and after.
    this.#deps.makeRoom(bytes * (2 + 2 * this.projection.channels.length));
    const ring = this.#ring(shard);
    for (const change of changes) ring.push(change);
    this.#position[shard] = ring.end;
    for (const [channel, { rows, at }] of this.channels.route(shard, changes)) {
      const link = channel.link(shard, ring.end, rows);
      this.#deps.publish(channel.topic, encodeChanges({ ch: channel.ch }, at, [link]));
    }
    this.#windows.take(shard, changes);
    this.#trim();
  }

  async #compare(): Promise<readonly LogHead[]> {
    // The position moves on while the heads are read.
    const position = [...this.#position];
    const generation = this.#generation;
    const heads = await this.#deps.source.heads([this.log]);
    if (generation !== this.#generation) return heads;
    const mine = heads.filter(({ log }) => log === this.log);
    if (mine.some(({ epoch }) => epoch !== this.#epoch)) await this.#reload('epoch_changed');
    else if (mine.some(({ shard, head }) => head < (position[shard] ?? 0)))
      await this.#reload('position_ahead');
    return heads;
  }

  /** Leaves the feed and begins anew at the heads; tried again until it works or the gateway stops. */
  #reload(reason: ResetReason): Promise<void> {
    this.#reloading ??= this.#reloadOnce(reason).finally(() => (this.#reloading = undefined));
    return this.#reloading;
  }

  async #reloadOnce(reason: ResetReason): Promise<void> {
    const { logger } = this.#deps;
    const { signal } = this.#stopped;
    const waiting = { log: this.log, signal };
    await untilWorks(waiting, logger, async () => {
      await this.#membership?.stop();
      const heads = await readableHeads(waiting, this.projection.name, this.#deps);
      if (signal.aborted) return;
      this.#begin(heads);
      this.#generation++;
      logger.warn({ log: this.log, reason, epoch: this.#epoch }, 'the change log is followed anew');
      this.#deps.broken(this, reason);
      for (const channel of this.channels) channel.restart(this.#position);
    });
    await untilWorks(waiting, logger, () => this.#join());
  }
}
