/**
 * Optimistic changes: what a command will make of rows, shown before the server has said so. Each is a function of the
 * row and applied anew to whatever the server sends meanwhile, until the change feed has the command's own change, or
 * the command was refused.
 */
import type { AnyRow } from '../app-types.js';
import type { CursorPayload } from '../../protocol/positions.js';

/** A pure function: the row as the server has it (null: there is none) → as it is to be shown (null: not at all). */
export type RowChange = (row: AnyRow | null) => AnyRow | null;

/** A place in a change log. */
export interface Place {
  readonly epoch: string;
  readonly shard: number;
  readonly seq: number;
}

export interface PendingChange {
  readonly key: string;
  readonly change: RowChange;
  /** What has the log up to here has the command’s own change; undefined while that is not known. */
  settledAt: Place | undefined;
}

/** A live view, as far as optimistic changes concern it. */
export interface Overlaid {
  readonly view: string;
  has(place: Place): boolean;
  overlayChanged(): void;
}

/** Reads where a cursor of one row stands; the client made none of it and may not make any. */
export function placeOf(cursor: string): Place | undefined {
  try {
    const body = cursor.slice(0, cursor.indexOf('.')).replaceAll('-', '+').replaceAll('_', '/');
    const { epoch, pos, bind } = JSON.parse(atob(body)) as CursorPayload;
    const [place] = pos;
    // On the socket what rows are the caller's is part of the epoch.
    return place && { epoch: epoch + (bind.scope ?? ''), shard: place[0], seq: place[1] };
  } catch {
    return undefined;
  }
}

/** The pending changes of a client, and the live views that show them. */
export class Overlay {
  readonly #pending = new Map<string, Set<PendingChange>>();
  readonly #views = new Set<Overlaid>();

  join(view: Overlaid): void {
    this.#views.add(view);
  }

  leave(view: Overlaid): void {
    this.#views.delete(view);
  }

  /** In the order in which they were made. */
  of(view: string): Iterable<PendingChange> {
    return this.#pending.get(view) ?? [];
  }

  add(view: string, key: string, change: RowChange): PendingChange {
    const pending: PendingChange = { key, change, settledAt: undefined };
    const all = this.#pending.get(view);
    if (all) all.add(pending);
    else this.#pending.set(view, new Set([pending]));
    this.#tell(view);
    return pending;
  }

  /** The command's change stands in the log at `place`; shown until every live view has that. */
  settle(view: string, pending: PendingChange, place: Place | undefined): void {
    if (!place) return this.remove(view, pending);
    pending.settledAt = place;
    this.#tell(view);
    this.sweep(view);
  }

  remove(view: string, pending: PendingChange): void {
    const all = this.#pending.get(view);
    if (!all?.delete(pending)) return;
    if (all.size === 0) this.#pending.delete(view);
    this.#tell(view);
  }

  /** What was pending is another caller’s. */
  clear(): void {
    this.#pending.clear();
    for (const view of this.#views) view.overlayChanged();
  }

  /** Forgets what every live view of `view` has by itself now. */
  sweep(view: string): void {
    for (const pending of [...this.of(view)]) {
      const place = pending.settledAt;
      if (place && [...this.#of(view)].every((one) => one.has(place))) this.remove(view, pending);
    }
  }

  *#of(view: string): Iterable<Overlaid> {
    for (const one of this.#views) if (one.view === view) yield one;
  }

  #tell(view: string): void {
    for (const one of this.#of(view)) one.overlayChanged();
  }
}
