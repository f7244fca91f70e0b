/** The open windows of one change log: which changes go to which, and what they share. */
import type { Logger } from '../../platform/logger.js';
import type { AnyProjection } from '../../domain/projection.js';
import type { SocketErrorCode } from '../../protocol/frames.js';
import type { ChannelFilter } from '../bindings.js';
import type { Change } from '../change.js';
import type { Channel } from '../channels.js';
import { encodeChanges } from '../encoding.js';
import type { GatewaySettings } from '../options.js';
import type { GatewayObserver } from '../ports.js';
import type { Reads } from '../reads.js';
import type { WindowBudget } from './budget.js';
import type { WindowPart } from './differences.js';
import { Window, type Concerned, type WindowLog } from './window.js';

export type WindowFilter = Extract<ChannelFilter, { kind: 'window' }>;
type Fields = Readonly<Record<string, unknown>>;

export interface WindowsDeps {
  readonly projection: AnyProjection;
  readonly log: WindowLog;
  readonly reads: Reads;
  readonly budget: WindowBudget;
  readonly settings: GatewaySettings;
  readonly observer: GatewayObserver;
  readonly logger: Logger;
  /** To every socket of a topic. */
  publish(topic: string, text: string): void;
  /** Asked before about so many bytes are published: the time to look at who does not read. */
  makeRoom(bytes: number): void;
  /** A channel's subscriptions end with an `err`. */
  abandoned(channel: Channel, code: SocketErrorCode, message: string): void;
}

/** Characters of a row's JSON take two bytes in memory at the most, and it stands there once or twice. */
const BYTES_OF_ROW = 4;

export class Windows {
  readonly #deps: WindowsDeps;
  readonly #all = new Set<Window>();
  /** By tuple of the projection's channels, by its values. */
  readonly #tuples: readonly Map<string, Set<Window>>[];
  readonly #open = new Map<Window, WindowFilter>();

  constructor(deps: WindowsDeps) {
    this.#deps = deps;
    this.#tuples = deps.projection.channels.map(() => new Map<string, Set<Window>>());
  }

  /** One more may be opened. */
  get room(): boolean {
    return this.#deps.budget.room;
  }

  open(channel: Channel, filter: WindowFilter): Window {
    const { projection, reads, log, settings, budget, logger } = this.#deps;
    const where = filter.of.kind === 'tuple' ? { where: filter.of.where } : {};
    const bytes = Math.ceil(settings.maxWindowBytes / BYTES_OF_ROW);
    const first = { sort: filter.spec.sort, bytes };
    const window = new Window({
      spec: filter.spec,
      log,
      budget,
      logger,
      spare: settings.windowSpareRows,
      maxBytes: settings.maxWindowBytes,
      joinTimeoutMs: settings.joinTimeoutMs,
      read: (rows) => reads.read(projection, { ...where, first }, rows, () => this.#open.has(window)),
      concerned: (change) => concernedBy(filter, change, once(change)),
      publish: (at, parts, moved) => this.#publish(channel, at, parts, moved),
      failed: (code, message) => this.#deps.abandoned(channel, code, message),
    });
    this.#open.set(window, filter);
    this.#deps.observer.windows?.(projection.name, 1);
    this.#group(filter, true)?.add(window);
    return window;
  }

  close(window: Window): void {
    const filter = this.#open.get(window);
    if (!filter) return;
    window.close();
    this.#deps.observer.windows?.(this.#deps.projection.name, -1);
    this.#open.delete(window);
    const group = this.#group(filter, false);
    group?.delete(window);
    if (group?.size === 0 && filter.of.kind === 'tuple')
      this.#tuples[filter.of.tuple]?.delete(filter.of.values);
  }

  /** Consecutive changes of a shard, in their order; the log's position is after them. */
  take(shard: number, changes: readonly Change[]): void {
    if (this.#open.size === 0) return;
    const concerned = new Map<Window, Concerned[]>();
    const note = (windows: ReadonlySet<Window> | undefined, one: Concerned): void => {
      for (const window of windows ?? []) {
        const known = concerned.get(window);
        if (known) known.push(one);
        else concerned.set(window, [one]);
      }
    };
    for (const change of changes) {
      const row = once(change);
      note(this.#all, { change, row });
      for (const [tuple, windows] of this.#tuples.entries()) {
        if (windows.size === 0) continue;
        const after = change.after(tuple);
        const before = change.before(tuple);
        if (after !== undefined) note(windows.get(after), { change, row });
        if (before !== undefined && before !== after) note(windows.get(before), { change, row: nothing });
      }
    }
    for (const [window, its] of concerned) window.take(shard, its);
  }

  /** Those that could not be read are read again. @param now ms of a clock that never runs backwards */
  check(now: number): void {
    for (const window of this.#open.keys()) window.check(now);
  }

  #publish(channel: Channel, at: number, parts: readonly WindowPart[], moved: ReadonlySet<number>): void {
    if (channel.seats === 0) return;
    const { log, makeRoom, publish } = this.#deps;
    makeRoom(parts.reduce((sum, { rows }) => sum + rows.reduce((all, row) => all + row.length, 0), 0));
    // Whoever did not read has left the topic now.
    if (channel.seats === 0) return;
    const links = parts.map(({ shard, rows }) => channel.link(shard, log.position[shard] ?? 0, rows));
    const silent = channel.quietLinks(log.position, [...moved]);
    publish(channel.topic, encodeChanges({ ch: channel.ch }, at, [...links, ...silent]));
  }

  #group({ of }: WindowFilter, make: boolean): Set<Window> | undefined {
    if (of.kind === 'all') return this.#all;
    const windows = this.#tuples[of.tuple];
    const known = windows?.get(of.values);
    if (known || !windows || !make) return known;
    const made = new Set<Window>();
    windows.set(of.values, made);
    return made;
  }
}

const nothing = (): null => null;

/** The row after a change, parsed once however many windows look at it. */
function once(change: Change): () => Fields | null {
  let row: Fields | null | undefined;
  return () => (row ??= change.row());
}

/** What a change is to a window; undefined when it is nothing. */
function concernedBy({ of }: WindowFilter, change: Change, row: () => Fields | null): Concerned | undefined {
  if (of.kind === 'all') return { change, row };
  if (change.after(of.tuple) === of.values) return { change, row };
  return change.before(of.tuple) === of.values ? { change, row: nothing } : undefined;
}
