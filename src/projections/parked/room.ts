/** What one worker knows of the parked keys of its projection: read once, kept up with what it parks, read again after a conflict. */
import type { AnyProjection } from '../../domain/projection.js';
import { cellOf } from '../parts/cells.js';
import { selectParkedKeys } from './statements.js';
import type { Writer } from '../write.js';
import type { Park, ParkingRoom, Queued } from './types.js';

/** Where parking is off, what was parked before waits on, however much it is. */
const OFF = { attempts: 1, maxKeys: 0, maxEvents: Number.MAX_SAFE_INTEGER } as const;

export class ParkedKeys {
  readonly #db: Writer;
  readonly #projection: AnyProjection;
  #known: { readonly keys: Set<string>; events: number } | undefined;

  constructor(db: Writer, projection: AnyProjection) {
    this.#db = db;
    this.#projection = projection;
  }

  /** @throws as `Database.query` */
  async room(): Promise<ParkingRoom> {
    const known = (this.#known ??= await this.#read());
    const bounds = this.#projection.parking || OFF;
    return {
      ...bounds,
      known: known.keys,
      keys: bounds.maxKeys - known.keys.size,
      events: bounds.maxEvents - known.events,
    };
  }

  /** What was committed. */
  add(parks: readonly Park[], queued: readonly Queued[]): void {
    if (!this.#known) return;
    for (const { key } of parks) this.#known.keys.add(key);
    this.#known.events += queued.length;
  }

  /** Others may have parked keys or taken them out. */
  forget(): void {
    this.#known = undefined;
  }

  async #read(): Promise<{ keys: Set<string>; events: number }> {
    const { name, version } = this.#projection;
    const rows = await this.#db.query<[string, string, number]>(selectParkedKeys(this.#db), [name, version]);
    return {
      keys: new Set(rows.map(([part, key]) => cellOf({ part, key }))),
      events: rows.reduce((sum, [, , queued]) => sum + queued, 0),
    };
  }
}
