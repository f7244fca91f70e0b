/** A change log, a feed and sockets in memory, each step of them by hand, so that a test chooses how they interleave. */
import type { Feed, JoinRequest, Membership, ShardReader } from '../../../src/broker/ports.js';
import type { LogPage } from '../../../src/event-store/types.js';
import { shardOf } from '../../../src/platform/murmur2.js';
import type { LogHead } from '../../../src/platform/postgres/logs.js';
import { sortText } from '../../../src/projections/ordering.js';
import type { ChangeEntry, RowsSnapshot, SnapshotFilter } from '../../../src/projections/types.js';
import type { ChangeSource } from '../../../src/realtime/ports.js';
import type { SendResult, Socket } from '../../../src/realtime/sockets/port.js';
import { BOARD_LOG, SHARDS, type BoardRow } from '../../support/realtime/board.js';
import { naiveOrder, type History } from './naive-window.js';

interface Call {
  /** What it answers if the database looked when it was asked, or looks only now. */
  settle(when: 'asked' | 'now' | 'failed'): void;
}

export class ModelLog implements ChangeSource, Feed<ChangeEntry> {
  epoch = 'e1';
  rows = new Map<string, { readonly rev: number; readonly row: BoardRow }>();
  shards: ChangeEntry[][] = Array.from({ length: SHARDS }, () => []);
  low: number[] = Array.from({ length: SHARDS }, () => 0);
  readonly calls: Call[] = [];
  /** Epoch → everything that was written in it. */
  readonly history = new Map<string, History>();
  /** How often rows were read. */
  snapshots = 0;
  #request: JoinRequest<ChangeEntry> | undefined;
  #readers = new Map<number, { reader: ShardReader<ChangeEntry>; at: number }>();
  #clock = 1_700_000_000_000;

  write(id: string, next: Omit<BoardRow, 'id'> | null): void {
    const shard = shardOf(id, SHARDS);
    const before = this.rows.get(id)?.row ?? null;
    if (!before && !next) return;
    const log = this.shards[shard] ?? [];
    const seq = this.head(shard) + 1;
    const row = next && { id, ...next };
    const entry: ChangeEntry = {
      log: BOARD_LOG,
      shard,
      epoch: this.epoch,
      seq,
      key: id,
      before: before && { list: before.list, done: before.done },
      row: row && JSON.stringify(row),
      recordedAt: new Date(this.#clock++).toISOString(),
    };
    log.push(entry);
    this.historyOf(this.epoch).entries[shard]?.push(entry);
    if (row) this.rows.set(id, { rev: seq, row });
    else this.rows.delete(id);
  }

  historyOf(epoch: string): History {
    const known = this.history.get(epoch);
    if (known) return known;
    const made = { base: new Map(), entries: Array.from({ length: SHARDS }, (): ChangeEntry[] => []) };
    this.history.set(epoch, made);
    return made;
  }

  head(shard: number): number {
    return this.shards[shard]?.at(-1)?.seq ?? this.low[shard] ?? 0;
  }

  /**
   * Rows of the log that was rebuilt: the same rows with revisions of their own.
   * @param further its entries go on where those of the old log ended, so that nothing but the epoch tells them apart
   */
  rebuild(further: boolean): void {
    this.epoch = `e${Number(this.epoch.slice(1)) + 1}`;
    if (further) {
      this.low = this.shards.map((_, shard) => Math.max(1, this.head(shard)));
      this.shards = this.shards.map(() => []);
      for (const [id, { row }] of this.rows)
        this.rows.set(id, { rev: this.low[shardOf(id, SHARDS)] ?? 0, row });
      this.history.set(this.epoch, { ...this.historyOf(this.epoch), base: new Map(this.rows) });
      return;
    }
    this.shards = this.shards.map(() => []);
    this.low = this.low.map(() => 0);
    const rows = [...this.rows.values()];
    this.rows = new Map();
    for (const { row } of rows) this.write(row.id, row);
  }

  trim(shard: number, upTo: number): void {
    const low = Math.min(upTo, this.head(shard));
    if (low <= (this.low[shard] ?? 0)) return;
    this.low[shard] = low;
    this.shards[shard] = (this.shards[shard] ?? []).filter(({ seq }) => seq > low);
  }

  currentHeads(): LogHead[] {
    return this.shards.map((_, shard) => ({
      log: BOARD_LOG,
      shard,
      epoch: this.epoch,
      head: this.head(shard),
      low: this.low[shard] ?? 0,
    }));
  }

  matching(filter: SnapshotFilter): [string, number, string][] {
    return [...this.rows]
      .filter(
        ([key, { row }]) =>
          (filter.key === undefined || key === filter.key) &&
          Object.entries(filter.where ?? {}).every(
            ([name, value]) => (name === 'list' ? row.list : row.done) === value,
          ),
      )
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, { rev, row }]) => [key, rev, JSON.stringify(row)]);
  }

  heads(): Promise<readonly LogHead[]> {
    // Never fails: the gateway would wait for real time before it asks again.
    return this.#call(() => this.currentHeads(), false);
  }

  readChanges(_log: string, shard: number, after: number, limit: number): Promise<LogPage<ChangeEntry>> {
    return this.#call((): LogPage<ChangeEntry> => {
      const low = this.low[shard] ?? 0;
      if (after < low) return { kind: 'trimmed', low };
      const entries = (this.shards[shard] ?? []).filter(({ seq }) => seq > after).slice(0, limit);
      return { kind: 'entries', entries };
    });
  }

  readSnapshot(_projection: unknown, filter: SnapshotFilter, maxRows: number): Promise<RowsSnapshot> {
    this.snapshots++;
    return this.#call((): RowsSnapshot => {
      const rows = this.matching(filter);
      if (filter.first) {
        const sort = sortText(filter.first.sort);
        const order = ([, , a]: (typeof rows)[number], [, , b]: (typeof rows)[number]): number =>
          naiveOrder(sort, JSON.parse(a) as BoardRow, JSON.parse(b) as BoardRow);
        return {
          epoch: this.epoch,
          pos: this.currentHeads().map(({ shard, head }) => [shard, head]),
          rows: rows.sort(order).slice(0, maxRows),
          tooMany: rows.length > maxRows,
        };
      }
      return {
        epoch: this.epoch,
        pos: this.currentHeads().map(({ shard, head }) => [shard, head]),
        rows: rows.length > maxRows ? [] : rows,
        tooMany: rows.length > maxRows,
      };
    });
  }

  async join(request: JoinRequest<ChangeEntry>): Promise<Membership> {
    this.#request = request;
    this.#readers = new Map();
    for (let shard = 0; shard < request.shards; shard++) {
      const reader = await request.open(shard);
      if (reader) this.#readers.set(shard, { reader, at: reader.after });
    }
    return {
      reopen: () => undefined,
      stop: async () => {
        if (this.#request === request) this.#readers.clear();
      },
    };
  }

  /**
   * The feed hands over up to `count` entries of a shard, whatever the log was when the reader began: only the reader knows.
   * @returns whether there were any
   */
  async deliver(shard: number, count: number): Promise<boolean> {
    const state = this.#readers.get(shard);
    if (!state) return false;
    if (state.at < (this.low[shard] ?? 0)) {
      this.#readers.delete(shard);
      state.reader.trimmed(this.low[shard] ?? 0);
      return true;
    }
    const entries = (this.shards[shard] ?? []).filter(({ seq }) => seq > state.at).slice(0, count);
    if (entries[0]?.seq !== state.at + 1) return false;
    try {
      await state.reader.handle(entries);
      state.at = entries.at(-1)?.seq ?? state.at;
    } catch {
      await this.#reopen(shard);
    }
    return true;
  }

  async #reopen(shard: number): Promise<void> {
    this.#readers.get(shard)?.reader.closed?.();
    const reader = await this.#request?.open(shard);
    if (reader) this.#readers.set(shard, { reader, at: reader.after });
  }

  #call<T>(read: () => T, mayFail = true): Promise<T> {
    return new Promise((resolve, reject) => {
      const asked = read();
      this.calls.push({
        settle: (when) => {
          if (when === 'failed' && mayFail) reject(new Error('the database went away'));
          else resolve(when === 'asked' ? asked : read());
        },
      });
    });
  }
}

/** What was sent and not yet read waits here, as it would in the kernel and the engine. */
export class ModelSocket implements Socket {
  readonly remoteAddress = '127.0.0.1';
  readonly queue: string[] = [];
  readonly topics = new Set<string>();
  closedWith: number | undefined;

  get open(): boolean {
    return this.closedWith === undefined;
  }
  send(text: string): SendResult {
    if (!this.open) return 'dropped';
    this.queue.push(text);
    return 'buffered';
  }
  bufferedAmount(): number {
    return this.queue.reduce((sum, text) => sum + text.length, 0);
  }
  subscribe(topic: string): void {
    this.topics.add(topic);
  }
  unsubscribe(topic: string): void {
    this.topics.delete(topic);
  }
  cork(work: () => void): void {
    work();
  }
  end(code: number): void {
    this.closedWith ??= code;
  }
}
