/** Events that are not in a row though they count as in: they wait behind a parked key, or an operator skipped them. */
import type { StoredEvent } from '../../domain/events.js';
import { cellOf, type CellName } from '../parts/cells.js';

type Place = Pick<StoredEvent, 'category' | 'shard' | 'seq'>;

const placeName = ({ category, shard, seq }: Place): string => `${category}/${shard}/${seq}`;

/** By cell: the key of a row, or the part of a stream (parts/cells.ts). */
export class LeftOut {
  readonly #parked = new Set<string>();
  readonly #skipped = new Set<string>();
  readonly #places = new Map<string, Set<string>>();

  park(name: CellName): void {
    this.#parked.add(cellOf(name));
  }

  leaveOut(name: CellName, place: Place, skipped: boolean): void {
    const cell = cellOf(name);
    const places = this.#places.get(cell) ?? new Set<string>();
    this.#places.set(cell, places.add(placeName(place)));
    if (skipped) this.#skipped.add(cell);
  }

  has(cell: string, event: Place): boolean {
    return this.#places.get(cell)?.has(placeName(event)) ?? false;
  }

  isParked(cell: string): boolean {
    return this.#parked.has(cell);
  }

  wasSkipped(cell: string): boolean {
    return this.#skipped.has(cell);
  }
}
