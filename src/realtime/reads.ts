/** Reads of rows for subscribers: some at a time, counted, and never for one socket alone. */
import type { AnyProjection } from '../domain/projection.js';
import { Gate } from '../platform/coalesced.js';
import type { RowsSnapshot, SnapshotFilter } from '../projections/types.js';
import type { GatewaySettings } from './options.js';
import type { ChangeSource, GatewayObserver } from './ports.js';

export class Reads {
  readonly #source: Pick<ChangeSource, 'readSnapshot'>;
  readonly #observer: GatewayObserver;
  readonly #gate: Gate;
  #last = 0;

  constructor(
    source: Pick<ChangeSource, 'readSnapshot'>,
    settings: Pick<GatewaySettings, 'snapshotConcurrency'>,
    observer: GatewayObserver,
  ) {
    this.#source = source;
    this.#observer = observer;
    this.#gate = new Gate(settings.snapshotConcurrency);
  }

  /** When one was answered last, ms of the monotonic clock. */
  get last(): number {
    return this.#last;
  }

  /**
   * @param wanted asked when its turn has come: who subscribes and leaves again and again shall not have others wait
   * @throws whatever the read throws; Error when nobody wants it any more
   */
  read(
    projection: AnyProjection,
    filter: SnapshotFilter,
    maxRows: number,
    wanted: () => boolean,
  ): Promise<RowsSnapshot> {
    return this.#gate.run(async () => {
      if (!wanted()) throw new Error('nobody waits for these rows any more');
      const began = performance.now();
      const read = await this.#source.readSnapshot(projection, filter, maxRows);
      this.#last = performance.now();
      this.#observer.snapshotRead?.(projection.name, read.rows.length, (this.#last - began) / 1_000);
      return read;
    });
  }
}
