/**
 * Asks for the heads of all logs at least once a second, in one query, and hints whoever follows them: the tail of a log
 * that lost its wake-up is found a second later at most. A hint costs nothing to those who have it already.
 */
import type { Clock } from './clock.js';
import { systemClock } from './clock.js';
import { service, type Service } from './lifecycle.js';
import type { Logger } from './logger.js';
import { Bell, jittered } from './pause.js';
import type { Database } from './postgres/database.js';
import { readHeads, type LogHead } from './postgres/logs.js';
import type { Wakeups } from './wakeups.js';

export interface HeadProbeOptions {
  readonly db: Database;
  readonly wakeups: Wakeups;
  readonly logger: Logger;
  /** Names of the logs to follow, by kind. */
  readonly logs: { readonly events: readonly string[]; readonly changes: readonly string[] };
  /** Milliseconds between two looks at the most, jittered below that; 1,000 unless told otherwise. */
  readonly intervalMs?: number;
  readonly clock?: Clock;
}

/** What one look gave; `at` is of `Clock.monotonic`, from before the query. */
export interface Heads {
  readonly at: number;
  readonly heads: readonly LogHead[];
}

export class HeadProbe implements Service {
  readonly name = 'head probe';
  readonly #options: HeadProbeOptions;
  readonly #clock: Clock;
  readonly #life: Service;
  readonly #bell = new Bell();
  readonly #onHeads = new Set<(heads: Heads) => void>();
  #running: Promise<void> | undefined;
  #asking: Promise<void> | undefined;
  #stopping = false;
  #failing = false;

  constructor(options: HeadProbeOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#life = service(this.name, {
      start: () => {
        this.#running = this.#run();
        return Promise.resolve();
      },
      stop: async () => {
        this.#stopping = true;
        this.#bell.ring();
        await this.#running;
      },
    });
  }

  start(): Promise<void> {
    return this.#life.start();
  }

  stop(): Promise<void> {
    return this.#life.stop();
  }

  /** Called after each look with all heads; returns what ends it. */
  onHeads(listener: (heads: Heads) => void): () => void {
    this.#onHeads.add(listener);
    return () => this.#onHeads.delete(listener);
  }

  /** Looks now; those who ask while a look is under way share it. @throws as `Database.query` */
  probe(): Promise<void> {
    this.#asking ??= this.#ask().finally(() => (this.#asking = undefined));
    return this.#asking;
  }

  async #run(): Promise<void> {
    while (!this.#stopping) {
      try {
        await this.probe();
        if (this.#failing) this.#options.logger.info('heads are read again');
        this.#failing = false;
      } catch (err) {
        if (!this.#failing) this.#options.logger.warn({ err }, 'heads cannot be read; trying on');
        this.#failing = true;
      }
      if (!this.#stopping) await this.#bell.wait(jittered(this.#options.intervalMs ?? 1_000));
    }
  }

  async #ask(): Promise<void> {
    const at = this.#clock.monotonic();
    const heads = await readHeads(this.#options.db, this.#options.logs);
    for (const { log, shard, head } of heads) if (head > 0) this.#options.wakeups.hint(log, shard, head);
    for (const listener of this.#onHeads) listener({ at, heads });
  }
}
