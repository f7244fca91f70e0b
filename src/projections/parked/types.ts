/** What workers say of keys that are parked and of events that wait behind them. */
import type { StoredEvent } from '../../domain/events.js';

/** A key whose fold threw. */
export interface Park {
  readonly key: string;
  /** The event at fault. */
  readonly event: StoredEvent;
  readonly error: unknown;
  readonly attempts: number;
}

/** An event that waits behind a parked key. */
export interface Queued {
  readonly key: string;
  readonly event: StoredEvent;
}

/** What a worker knows of parked keys, and what it may add; checked under the locks. */
export interface ParkingRoom {
  readonly known: ReadonlySet<string>;
  /** Keys that may be parked beside those known. */
  readonly keys: number;
  /** Events that may be recorded. */
  readonly events: number;
  /** How often an event is folded before its key is parked. */
  readonly attempts: number;
  /** 0: nothing is parked any more, a fold that throws halts its shard. */
  readonly maxKeys: number;
  readonly maxEvents: number;
}
