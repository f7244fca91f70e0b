/**
 * What is wrong with sending, told once when it begins and once when it is over, however often it was tried in between; and
 * for /readyz as long as it lasts.
 */
import { isTidemarkError, messageOf } from '../platform/errors.js';
import type { Logger } from '../platform/logger.js';

/** Who has not failed for so long is not tried here any more: another process has the shard. */
const FORGET_MS = 60_000;

/** As long as something is wrong, it is told again after this. */
const REMIND_MS = 300_000;

interface Failing {
  readonly log: string;
  readonly shard: number;
  readonly reason: string;
  readonly since: string;
  /** Monotonic ms of the last failure. */
  readonly at: number;
}

export class Trouble {
  readonly #logger: Logger;
  readonly #failing = new Map<string, Failing>();
  #told: number | undefined;

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  /** A shard cannot be sent. @returns its code */
  failed(log: string, shard: number, error: unknown): string {
    const id = `${log}/${shard}`;
    const now = performance.now();
    const since = this.#failing.get(id)?.since ?? new Date().toISOString();
    this.#failing.set(id, { log, shard, reason: messageOf(error), since, at: now });
    if (this.#told === undefined || now - this.#told > REMIND_MS) {
      this.#told = now;
      this.#logger.warn(
        { err: error, log, shard, shards: this.#failing.size },
        'entries cannot be sent to Kafka; they wait in Postgres, and it is tried on',
      );
    }
    return isTidemarkError(error) ? error.code : 'unexpected';
  }

  /** A shard is sent again, or is not this process’s any more. */
  over(log: string, shard: number): void {
    this.#forget();
    this.#failing.delete(`${log}/${shard}`);
    if (this.#failing.size > 0 || this.#told === undefined) return;
    this.#told = undefined;
    this.#logger.info('all entries can be sent to Kafka again');
  }

  #forget(): void {
    const before = performance.now() - FORGET_MS;
    for (const [id, { at }] of this.#failing) if (at < before) this.#failing.delete(id);
  }

  /** A line a log. */
  get lines(): readonly string[] {
    this.#forget();
    const logs = new Set([...this.#failing.values()].map(({ log }) => log));
    return [...logs].map((log) => {
      const shards = [...this.#failing.values()].filter((one) => one.log === log);
      const [first] = shards;
      const since = shards.map((one) => one.since).sort()[0];
      const which = shards.length === 1 ? `shard ${first?.shard}` : `${shards.length} shards`;
      return `relay: ${which} of ${log} cannot be sent to Kafka since ${since}: ${first?.reason ?? ''}`;
    });
  }
}
