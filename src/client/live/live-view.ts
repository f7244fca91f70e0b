/** The rows of one live view as they are now, for all who ask for the same: those of the server, and optimistic changes. */
import type { AnyRow } from '../app-types.js';
import type { ChangedRow, SnapRow } from '../../protocol/frames.js';
import type { ClientError } from '../errors.js';
import type { Connection } from '../socket/connection.js';
import { Feed, type FeedSink, type LiveStatus } from './feed.js';
import type { Overlaid, Overlay, Place } from './overlay.js';
import { belongs, isWindow, limitOf, orderOf, type LiveRequest } from './request.js';

/** A live view at one moment; the same object until something changes, and never changed itself. */
export interface LiveState<Row> {
  /** In the order asked for, by key where none was. */
  readonly rows: readonly Row[];
  readonly status: LiveStatus;
  /** Why it is closed, or what the last connection ended with. */
  readonly error: ClientError | undefined;
  /** Keys whose rows are shown as a command is expected to leave them. */
  readonly pending: ReadonlySet<string>;
}

interface Entry {
  readonly key: string;
  readonly rev: number;
  readonly row: AnyRow;
}

const NOTHING: ReadonlySet<string> = new Set();
export const NOT_YET: LiveState<AnyRow> = Object.freeze({
  rows: Object.freeze([]),
  status: 'connecting',
  error: undefined,
  pending: NOTHING,
});

export class LiveView implements FeedSink, Overlaid {
  readonly request: LiveRequest;
  readonly #overlay: Overlay;
  readonly #connection: Connection;
  readonly #feed: Feed;
  readonly #changed: (view: LiveView) => void;
  readonly #order: (a: Entry, b: Entry) => number;
  readonly #entries = new Map<string, Entry>();
  /** The entries in their order, as they were when somebody last looked. */
  #sorted: readonly Entry[] = [];
  /** Entries that came since, or are other ones. */
  readonly #fresh = new Map<string, Entry>();
  /** Some went since. */
  #hasGone = false;
  /** As of the last change; undefined when it must be made anew. */
  #state: LiveState<AnyRow> | undefined = NOT_YET;
  readonly listeners = new Set<() => void>();

  /** @param changed called at every change; listeners are told by who calls this */
  constructor(
    request: LiveRequest,
    overlay: Overlay,
    connection: Connection,
    changed: (view: LiveView) => void,
  ) {
    this.request = request;
    this.#overlay = overlay;
    this.#connection = connection;
    this.#changed = changed;
    this.#order = orderOf(request);
    this.#feed = new Feed(request, this, connection);
  }

  get view(): string {
    return this.request.view;
  }

  get state(): LiveState<AnyRow> {
    this.#state ??= this.#make();
    return this.#state;
  }

  open(): void {
    this.#overlay.join(this);
    this.#connection.add(this.#feed);
    if ([...this.#overlay.of(this.view)].length > 0) this.overlayChanged();
  }

  close(): void {
    this.#connection.remove(this.#feed);
    this.#overlay.leave(this);
    this.#overlay.sweep(this.view);
  }

  snapshot(rows: readonly SnapRow[], isSameLog: boolean): void {
    const before = new Map(this.#entries);
    this.#clear();
    for (const [key, rev, row] of rows) {
      const known = isSameLog ? before.get(key) : undefined;
      // The very same object where nothing changed: who compares sees that.
      this.#put(known?.rev === rev ? known : { key, rev, row });
    }
  }

  changes(rows: readonly ChangedRow[]): void {
    for (const [key, rev, row] of rows) {
      if (row !== null) this.#put({ key, rev, row });
      else if (this.#entries.delete(key)) {
        this.#fresh.delete(key);
        this.#hasGone = true;
      }
    }
  }

  dropped(): void {
    this.#clear();
    this.moved();
  }

  moved(): void {
    this.#overlay.sweep(this.view);
    this.overlayChanged();
  }

  has({ epoch, shard, seq }: Place): boolean {
    return this.#feed.covers(epoch, shard, seq);
  }

  overlayChanged(): void {
    this.#state = undefined;
    this.#changed(this);
  }

  #put(entry: Entry): void {
    this.#hasGone ||= this.#entries.has(entry.key);
    this.#entries.set(entry.key, entry);
    this.#fresh.set(entry.key, entry);
  }

  #clear(): void {
    this.#entries.clear();
    this.#fresh.clear();
    this.#hasGone = true;
  }

  /** What was in order stays so: a sort of that and a few others is nearly one pass. */
  #inOrder(): readonly Entry[] {
    if (!this.#hasGone && this.#fresh.size === 0) return this.#sorted;
    const fresh = this.#fresh;
    const kept = this.#sorted.filter(
      (entry) => this.#entries.get(entry.key) === entry && !fresh.has(entry.key),
    );
    this.#sorted = [...kept, ...fresh.values()].sort(this.#order);
    this.#hasGone = false;
    fresh.clear();
    return this.#sorted;
  }

  #make(): LiveState<AnyRow> {
    const { status, error } = this.#feed;
    const { entries, pending } = this.#overlaid();
    const rows = Object.freeze(entries.map(({ row }) => row));
    return Object.freeze({ rows, status, error, pending });
  }

  /** What is shown: the server’s rows, changed by what is pending and not in them yet. */
  #overlaid(): { readonly entries: readonly Entry[]; readonly pending: ReadonlySet<string> } {
    const changed = new Map<string, AnyRow | null>();
    for (const { key, change, settledAt } of this.#overlay.of(this.view)) {
      if (settledAt && this.has(settledAt)) continue;
      const before = changed.get(key);
      const row = before === undefined ? (this.#entries.get(key)?.row ?? null) : before;
      changed.set(key, change(row));
    }
    if (changed.size === 0) return { entries: this.#inOrder(), pending: NOTHING };
    const entries = this.#inOrder().filter(({ key }) => !changed.has(key));
    const pending = new Set<string>();
    for (const [key, row] of changed) {
      if (row !== null && belongs(this.request, key, row)) {
        entries.push({ key, rev: 0, row });
        pending.add(key);
      } else if (this.#entries.has(key)) pending.add(key);
    }
    entries.sort(this.#order);
    return { entries: isWindow(this.request) ? entries.slice(0, limitOf(this.request)) : entries, pending };
  }
}
