/**
 * Channels: the ways in which a change log can be watched, each with a number that is good in this process, and the
 * chain of its parts. A part says: in this shard of this channel, after seq `p` comes everything up to `s`.
 */
import type { ChannelFilter, Within } from './bindings.js';
import type { Change } from './change.js';
import type { EncodedPart } from './encoding.js';
import type { Window } from './windows/window.js';
import type { WindowFilter, Windows } from './windows/windows.js';

/** A row that is not the principal's, before and after, is none of its business: it hears nothing. */
function partOfKey(within: Within | undefined, change: Change): string | undefined {
  if (!within) return change.present();
  if (within.values === undefined) return undefined;
  const { before, after } = change.matches(within.fields, within.values);
  if (after) return change.present();
  return before ? change.gone() : undefined;
}

/** What a change is to a channel: its encoded row, or undefined when it does not concern the channel. */
export function partOf(filter: ChannelFilter, change: Change): string | undefined {
  switch (filter.kind) {
    case 'all':
      return change.present();
    case 'key':
      return change.key === filter.key ? partOfKey(filter.within, change) : undefined;
    case 'tuple':
      if (change.after(filter.tuple) === filter.values) return change.present();
      return change.before(filter.tuple) === filter.values ? change.gone() : undefined;
    case 'window':
      return partOf(filter.of, change);
  }
}

export class Channel {
  readonly ch: number;
  readonly topic: string;
  readonly filter: ChannelFilter;
  /** Shards that its changes can be in. */
  readonly shards: readonly number[];
  /** Sockets that are subscribed to its topic. */
  seats = 0;
  /** Subscriptions that hold it, live or being brought up. */
  users = 0;
  /** Of a channel that shows a window: its rows. */
  window: Window | undefined;
  readonly #sent: Map<number, number>;
  readonly #changed = new Map<number, number>();

  constructor(ch: number, filter: ChannelFilter, position: readonly number[]) {
    this.ch = ch;
    this.topic = `c${ch}`;
    this.filter = filter;
    this.shards = filter.kind === 'key' ? [filter.shard] : position.map((_seq, shard) => shard);
    this.#sent = new Map();
    this.rebase(position);
  }

  /** The chain begins anew at `position`; only while nobody is in the middle of it. */
  rebase(position: readonly number[]): void {
    for (const shard of this.shards) this.#sent.set(shard, position[shard] ?? 0);
  }

  /** The log began anew: nothing that was known of it holds. */
  restart(position: readonly number[]): void {
    this.rebase(position);
    this.#changed.clear();
    this.window?.restart();
  }

  /** Up to where the channel’s parts went, shard → seq: what a live subscriber has at the least. */
  sent(): Map<number, number> {
    return new Map(this.#sent);
  }

  /** Seq of the last change of the channel since it was opened; 0 when there was none. */
  changedAt(shard: number): number {
    return this.#changed.get(shard) ?? 0;
  }

  noteChanged(shard: number, seq: number): void {
    this.#changed.set(shard, seq);
  }

  /** The next link of the chain. @param s up to where the log was looked at */
  link(shard: number, s: number, rows: readonly string[]): EncodedPart {
    const p = this.#sent.get(shard) ?? 0;
    this.#sent.set(shard, s);
    return { shard, p, s, rows };
  }

  /** Links with no rows for those of the shards in which the log went on and the channel did not. */
  quietLinks(position: readonly number[], shards: readonly number[] = this.shards): EncodedPart[] {
    // Of a window whose rows are being read, something is held back.
    if (this.window && !this.window.settled) return [];
    return shards
      .filter((shard) => (this.#sent.get(shard) ?? 0) < (position[shard] ?? 0))
      .map((shard) => this.link(shard, position[shard] ?? 0, []));
  }
}

const sameWithin = (a: Within | undefined, b: Within | undefined): boolean =>
  a?.values === b?.values && JSON.stringify(a?.fields) === JSON.stringify(b?.fields);

/** What a batch of changes is to one channel. */
export interface Routed {
  readonly rows: string[];
  /** Time of the oldest change, ms. */
  at: number;
}

/** The open channels of one log. */
export class Channels {
  readonly #nextCh: () => number;
  #all: Channel | undefined;
  /** By key; of one key there may be several, each within other rights. */
  readonly #keys = new Map<string, Set<Channel>>();
  readonly #tuples: readonly Map<string, Channel>[];
  readonly #ofWindows = new Map<string, Channel>();
  readonly #windows: Pick<Windows, 'open' | 'close' | 'room'>;
  readonly #open = new Set<Channel>();

  /** @param tuples how many tuples of fields the projection has channels on */
  constructor(tuples: number, nextCh: () => number, windows: Pick<Windows, 'open' | 'close' | 'room'>) {
    this.#nextCh = nextCh;
    this.#windows = windows;
    this.#tuples = Array.from({ length: tuples }, () => new Map<string, Channel>());
  }

  get size(): number {
    return this.#open.size;
  }

  [Symbol.iterator](): IterableIterator<Channel> {
    return this.#open.values();
  }

  /** Whether there is room for the channel of a filter, or it is open already. */
  hasRoom(filter: ChannelFilter): boolean {
    return filter.kind !== 'window' || this.#windows.room || this.#ofWindows.has(filter.id);
  }

  /** The channel of a filter, opened if need be; every `acquire` is followed by one `release`. */
  acquire(filter: ChannelFilter, position: readonly number[]): Channel {
    const channel = this.#find(filter) ?? this.#openChannel(filter, position);
    channel.users++;
    return channel;
  }

  /** @returns true when nobody holds it any more, and it is closed */
  release(channel: Channel): boolean {
    channel.users--;
    if (channel.users > 0) return false;
    this.#open.delete(channel);
    const { filter } = channel;
    if (filter.kind === 'window') this.#closeWindow(filter, channel);
    else if (filter.kind === 'all') this.#all = undefined;
    else if (filter.kind === 'key') this.#closeKey(filter.key, channel);
    else this.#tuples[filter.tuple]?.delete(filter.values);
    return true;
  }

  /** What consecutive changes of a shard are to the open channels, in their order. */
  route(shard: number, changes: readonly Change[]): Map<Channel, Routed> {
    const routed = new Map<Channel, Routed>();
    const note = (channel: Channel | undefined, change: Change, row: () => string): void => {
      if (!channel) return;
      channel.noteChanged(shard, change.seq);
      if (channel.seats === 0) return;
      const known = routed.get(channel);
      if (known) {
        known.rows.push(row());
        known.at = Math.min(known.at, change.at);
      } else routed.set(channel, { rows: [row()], at: change.at });
    };
    const watched = this.#tuples.flatMap((channels, tuple) =>
      channels.size > 0 ? [{ channels, tuple }] : [],
    );
    for (const change of changes) {
      const present = (): string => change.present();
      note(this.#all, change, present);
      for (const channel of this.#keys.get(change.key) ?? []) {
        const part = partOf(channel.filter, change);
        if (part !== undefined) note(channel, change, () => part);
      }
      for (const { channels, tuple } of watched) {
        const after = change.after(tuple);
        const before = change.before(tuple);
        if (after !== undefined) note(channels.get(after), change, present);
        if (before !== undefined && before !== after) note(channels.get(before), change, () => change.gone());
      }
    }
    return routed;
  }

  #find(filter: ChannelFilter): Channel | undefined {
    if (filter.kind === 'all') return this.#all;
    if (filter.kind === 'key') return this.#findKey(filter);
    if (filter.kind === 'window') return this.#ofWindows.get(filter.id);
    return this.#tuples[filter.tuple]?.get(filter.values);
  }

  #findKey(filter: Extract<ChannelFilter, { kind: 'key' }>): Channel | undefined {
    for (const channel of this.#keys.get(filter.key) ?? [])
      if (channel.filter.kind === 'key' && sameWithin(channel.filter.within, filter.within)) return channel;
    return undefined;
  }

  #openWindow(filter: WindowFilter, channel: Channel): void {
    channel.window = this.#windows.open(channel, filter);
    this.#ofWindows.set(filter.id, channel);
  }

  #closeWindow(filter: WindowFilter, channel: Channel): void {
    if (channel.window) this.#windows.close(channel.window);
    this.#ofWindows.delete(filter.id);
  }

  #openKey(key: string, channel: Channel): void {
    const channels = this.#keys.get(key);
    if (channels) channels.add(channel);
    else this.#keys.set(key, new Set([channel]));
  }

  #closeKey(key: string, channel: Channel): void {
    const channels = this.#keys.get(key);
    channels?.delete(channel);
    if (channels?.size === 0) this.#keys.delete(key);
  }

  #openChannel(filter: ChannelFilter, position: readonly number[]): Channel {
    const channel = new Channel(this.#nextCh(), filter, position);
    this.#open.add(channel);
    if (filter.kind === 'window') this.#openWindow(filter, channel);
    else if (filter.kind === 'all') this.#all = channel;
    else if (filter.kind === 'key') this.#openKey(filter.key, channel);
    else this.#tuples[filter.tuple]?.set(filter.values, channel);
    return channel;
  }
}
