/**
 * What a process says of one log that does not come from Kafka: once when it begins, however many consumers are lost in between,
 * and once when records come again.
 */
import { messageOf } from '../../platform/errors.js';
import type { Logger } from '../../platform/logger.js';

/** As long as it lasts, it is told again after this. */
const REMIND_MS = 300_000;
/** One that comes right after another one is not told: a broker that comes and goes fills no log. */
const APART_MS = 10_000;

export interface OutageOptions {
  readonly logger: Logger;
  readonly log: string;
  /** Monotonic milliseconds. */
  readonly now?: () => number;
}

export class Outage {
  readonly #options: OutageOptions;
  /** When it was told; undefined before the first time. */
  #told: number | undefined;
  #lasts = false;

  constructor(options: OutageOptions) {
    this.#options = options;
  }

  /** A consumer was lost, or could not be made. */
  lost(error: unknown): void {
    const { logger, log, now = () => performance.now() } = this.#options;
    const at = now();
    if (this.#told !== undefined && at - this.#told < (this.#lasts ? REMIND_MS : APART_MS)) return;
    this.#told = at;
    this.#lasts = true;
    logger.warn(
      { log, reason: messageOf(error) },
      'no records come from Kafka, and Postgres is read; it is tried on',
    );
  }

  /** A consumer reads. */
  over(): void {
    if (!this.#lasts) return;
    this.#lasts = false;
    this.#options.logger.info({ log: this.#options.log }, 'records come from Kafka again');
  }
}
