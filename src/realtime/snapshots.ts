/** Snapshots as frames: read once per channel however many ask, encoded once, and kept for a moment while they are exact. */
import { LRUCache } from 'lru-cache';
import type { ShardSeq } from '../protocol/positions.js';
import type { SnapshotFilter } from '../projections/types.js';
import type { ChannelFilter } from './bindings.js';
import type { Channel } from './channels.js';
import type { FollowedLog } from './followed-log.js';
import type { GatewaySettings } from './options.js';
import { encodeRow } from './encoding.js';
import { HeldSnapshots } from './held-snapshots.js';
import type { Reads } from './reads.js';
import type { ShownRow } from './windows/differences.js';
import type { Window } from './windows/window.js';

const KEEP_MS = 1_000;
/** Changes after a kept snapshot that are replayed rather than reading it again; more where it has more rows. */
const REPLAY_AT_LEAST = 100;
/** After so many reads in a row, one that is kept will do for everyone, with what came after it. */
const CROWD = 3;

export interface SnapshotPages {
  readonly epoch: string;
  readonly pos: ReadonlyMap<number, number>;
  /** More rows than a snapshot may have; `pages` is empty then. */
  readonly tooMany: boolean;
  /** Rows of one frame each: `[key, rev, row]` joined by commas. At least one, unless there are too many rows. */
  readonly pages: readonly string[];
  /** Of all pages. */
  readonly bytes: number;
  /** Of a window: the rows of the pages. */
  readonly shown?: ReadonlyMap<string, ShownRow>;
}

interface Kept {
  readonly generation: number;
  readonly rows: number;
  /** Reads of the channel one soon after the other: many come, and it changes meanwhile. */
  readonly series: number;
  readonly snapshot: SnapshotPages;
}

const toFilter = (filter: ChannelFilter): SnapshotFilter => {
  if (filter.kind === 'all') return {};
  if (filter.kind === 'window') return toFilter(filter.of);
  if (filter.kind === 'tuple') return { where: filter.where };
  return { key: filter.key, ...(filter.within ? { where: filter.within.where } : {}) };
};

/**
 * @param rows `[key,rev,row]` each
 * @param frameBytes a page is at most about so large; a larger row stands alone
 */
function paginate(rows: Iterable<string>, frameBytes: number): string[] {
  const pages: string[] = [];
  let page: string[] = [];
  let size = 0;
  for (const text of rows) {
    const bytes = Buffer.byteLength(text);
    if (page.length > 0 && size + bytes > frameBytes) {
      pages.push(page.join(','));
      page = [];
      size = 0;
    }
    page.push(text);
    size += bytes + 1;
  }
  return [...pages, page.join(',')];
}

/** Characters, which are bytes but for what is not ASCII. */
const bytesOf = (pages: readonly string[]): number => pages.reduce((sum, page) => sum + page.length, 0);

const positionMap = (pos: readonly ShardSeq[]): ReadonlyMap<number, number> => new Map(pos);

/** No change of the channel lies between: what holds at the snapshot's position holds at the log's. */
function asOf(log: FollowedLog, channel: Channel, snapshot: SnapshotPages): SnapshotPages {
  const pos = channel.shards.map((shard): ShardSeq => [
    shard,
    Math.max(snapshot.pos.get(shard) ?? 0, log.position[shard] ?? 0),
  ]);
  return { ...snapshot, pos: new Map(pos) };
}

export class Snapshots {
  readonly #reads: Reads;
  readonly #settings: GatewaySettings;
  readonly #running = new Map<Channel, Promise<SnapshotPages>>();
  readonly #kept: LRUCache<Channel, Kept>;
  /** Those that clients are in the middle of. */
  readonly held: HeldSnapshots;
  /** Pages of windows as they are now: rows → pages. */
  readonly #ofWindows = new WeakMap<ReadonlyMap<string, ShownRow>, readonly string[]>();

  constructor(reads: Reads, settings: GatewaySettings) {
    this.#reads = reads;
    this.#settings = settings;
    this.#kept = new LRUCache({
      maxSize: settings.snapshotCacheBytes,
      ttl: KEEP_MS,
      sizeCalculation: ({ snapshot }) => snapshot.bytes + 1_000,
    });
    this.held = new HeldSnapshots(settings.heldSnapshotBytes, settings.maxBufferedBytes);
  }

  /** When one was read last, ms of the monotonic clock. */
  get lastRead(): number {
    return this.#reads.last;
  }

  /**
   * A channel that was read so often in a row that many must be coming is not read for each of them, though it changes.
   * @param near one that is kept will do though a few changes came after it, which a replay brings: many ask for the same
   *   one after the other
   * @throws whatever the read throws
   */
  read(log: FollowedLog, channel: Channel, near: boolean): Promise<SnapshotPages> {
    if (channel.window) return this.#ofWindow(log, channel.window);
    const kept = this.#kept.get(channel);
    if (kept && this.#isExact(log, channel, kept)) return Promise.resolve(asOf(log, channel, kept.snapshot));
    if (kept && (near || kept.series >= CROWD) && this.#isNear(log, channel, kept))
      return Promise.resolve(kept.snapshot);
    const running = this.#running.get(channel);
    if (running) return running;
    const read = this.#read(log, channel).finally(() => this.#running.delete(channel));
    this.#running.set(channel, read);
    return read;
  }

  /** A window has its rows: they are read when it is opened, and encoded once for all who come before its next change. */
  async #ofWindow(log: FollowedLog, window: Window): Promise<SnapshotPages> {
    do await window.whenSettled();
    while (!window.settled);
    const { shown } = window;
    let pages = this.#ofWindows.get(shown);
    if (!pages) {
      const texts = [...shown.values()].map(({ text }) => text);
      pages = paginate(texts, this.#settings.outFrameBytes);
      this.#ofWindows.set(shown, pages);
    }
    const pos = new Map(log.position.entries());
    return { epoch: log.epoch, pos, tooMany: false, pages, bytes: bytesOf(pages), shown };
  }

  /** The channel is closed: what was kept for it can never be asked for again. */
  forget(channel: Channel): void {
    this.#kept.delete(channel);
  }

  /** No change of the channel came after it. */
  #isExact(log: FollowedLog, channel: Channel, { generation, snapshot }: Kept): boolean {
    return (
      generation === log.generation &&
      snapshot.epoch === log.epoch &&
      channel.shards.every((shard) => channel.changedAt(shard) <= (snapshot.pos.get(shard) ?? 0))
    );
  }

  /** What came after it is in the ring, and not more than the snapshot itself. */
  #isNear(log: FollowedLog, channel: Channel, { generation, rows, snapshot }: Kept): boolean {
    if (generation !== log.generation || snapshot.epoch !== log.epoch) return false;
    const at = (shard: number): number => snapshot.pos.get(shard) ?? 0;
    if (!channel.shards.every((shard) => log.covers(shard, at(shard)))) return false;
    const distance = channel.shards.reduce(
      (sum, shard) => sum + Math.max(0, (log.position[shard] ?? 0) - at(shard)),
      0,
    );
    return distance <= Math.max(REPLAY_AT_LEAST, rows);
  }

  async #read(log: FollowedLog, channel: Channel): Promise<SnapshotPages> {
    const { maxSnapshotRows, outFrameBytes } = this.#settings;
    const { generation } = log;
    const read = await this.#reads.read(
      log.projection,
      toFilter(channel.filter),
      maxSnapshotRows,
      () => channel.users > 0,
    );
    const texts = read.rows.map((row) => encodeRow(...row));
    const pages = read.tooMany ? [] : paginate(texts, outFrameBytes);
    const { epoch, tooMany } = read;
    const pos = positionMap(read.pos);
    const snapshot: SnapshotPages = { epoch, pos, tooMany, pages, bytes: bytesOf(pages) };
    if (channel.users > 0 && !read.tooMany) {
      const series = (this.#kept.get(channel)?.series ?? 0) + 1;
      this.#kept.set(channel, { generation, rows: read.rows.length, series, snapshot });
    }
    return snapshot;
  }
}
