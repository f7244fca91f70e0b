/** How long a verification may take, and the transactions it looks through: read-only, of one snapshot, short where they can be. */
import type { Database, Queryable } from '../../platform/postgres/database.js';
import { isTimeout } from '../../platform/postgres/sqlstate.js';
import { CANCEL_BACKEND, SET_BOUNDS } from './statements.js';

/** The time is over. What was found until then is still true. */
export class OutOfTime extends Error {
  override readonly name = 'OutOfTime';
}

/** The longest that a timer takes. */
const LONGEST_MS = 2 ** 31 - 1;

export interface BoundsOptions {
  /** From now; ms. */
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
}

export class Bounds {
  readonly #until: number;
  readonly #signal: AbortSignal | undefined;
  /** Aborted when the time is over, or when the caller’s signal is. */
  readonly ended: AbortSignal;

  constructor({ timeoutMs, signal }: BoundsOptions) {
    this.#until = performance.now() + timeoutMs;
    this.#signal = signal;
    const over = AbortSignal.timeout(Math.max(0, Math.ceil(Math.min(timeoutMs, LONGEST_MS))));
    this.ended = signal ? AbortSignal.any([signal, over]) : over;
  }

  /** @throws OutOfTime; the signal’s reason once it is aborted */
  check(): void {
    this.#signal?.throwIfAborted();
    if (performance.now() >= this.#until) throw new OutOfTime('the time is over');
  }

  /** What `work` gives; what it threw since the end came is told as the end. @throws as `check`; as `work` */
  async within<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      if (this.ended.aborted) {
        this.#signal?.throwIfAborted();
        throw new OutOfTime('the time is over');
      }
      throw error;
    }
  }

  /**
   * Reads as of one moment (REPEATABLE READ, read-only: nobody waits for it). A statement that runs when the time is over, or when the
   * signal is aborted, is cancelled by the server.
   * @throws as `check`; as `Database.query`
   */
  async asOfNow<T>(db: Database, work: (tx: Queryable) => Promise<T>): Promise<T> {
    this.check();
    try {
      return await db.transaction((tx) => this.#within(db, tx, work), {
        isolation: 'repeatable read',
        readOnly: true,
        unbounded: true,
      });
    } catch (error) {
      if (isTimeout(error)) this.check();
      throw error;
    }
  }

  async #within<T>(db: Database, tx: Queryable, work: (tx: Queryable) => Promise<T>): Promise<T> {
    const left = Math.max(1, Math.ceil(this.#until - performance.now()));
    const [row] = await tx.query<[number]>(SET_BOUNDS, [`${left}`]);
    let cancelling: Promise<unknown> = Promise.resolve();
    const cancel = (): void => {
      cancelling = db.query(CANCEL_BACKEND, [row?.[0] ?? 0]).catch(() => undefined);
    };
    this.#signal?.addEventListener('abort', cancel, { once: true });
    try {
      return await work(tx);
    } finally {
      this.#signal?.removeEventListener('abort', cancel);
      // Else it could come late and hit what the connection does next.
      await cancelling;
    }
  }
}
