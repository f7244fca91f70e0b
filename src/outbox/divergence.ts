/**
 * Which logs stand still as Kafka has what Postgres does not, as any relay found it; and whether the server is still the one
 * that it was. Looked at now and then, in one small query each.
 */
import { TidemarkError } from '../platform/errors.js';
import { service, type Service } from '../platform/lifecycle.js';
import type { Logger } from '../platform/logger.js';
import { Bell, jittered } from '../platform/pause.js';
import type { Database } from '../platform/postgres/database.js';
import { rememberServer, SELECT_SERVER, selectDiverged } from './statements.js';

export interface DivergenceOptions {
  readonly db: Database;
  readonly logs: readonly string[];
  readonly logger: Logger;
  readonly everyMs: number;
  /** A log stands still from now on. */
  found(log: string): void;
  /** It is another server, or the same after it was restored: nothing that was known need be true. */
  serverChanged(): void;
}

const divergedError = (log: string, shard: number, found: string): TidemarkError =>
  new TidemarkError(
    'log_diverged',
    `log ${log}, shard ${shard}: ${found}. Nothing of ${log} is sent to Kafka until \`tidemark doctor --new-epoch\` has mended it`,
  );

export class Divergence implements Service {
  readonly name = 'divergence';
  readonly #options: DivergenceOptions;
  readonly #life: Service;
  readonly #bell = new Bell();
  readonly #diverged = new Map<string, { readonly shard: number; readonly found: string }>();
  #server: string | undefined;
  #running: Promise<void> | undefined;
  #stopping = false;

  constructor(options: DivergenceOptions) {
    this.#options = options;
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

  get logs(): ReadonlySet<string> {
    return new Set(this.#diverged.keys());
  }

  get lines(): readonly string[] {
    return [...this.#diverged].map(
      ([log, { shard, found }]) => `relay: log_diverged: ${divergedError(log, shard, found).message}`,
    );
  }

  /** Told once a log. */
  found(log: string, shard: number, found: string): void {
    const isNews = !this.#diverged.has(log);
    this.#diverged.set(log, { shard, found });
    if (!isNews) return;
    const err = divergedError(log, shard, found);
    this.#options.logger.error({ err, log, shard }, 'Kafka has what Postgres does not: a log is not relayed');
    this.#options.found(log);
  }

  mended(log: string): void {
    if (this.#diverged.delete(log)) this.#options.logger.info({ log }, 'a log is relayed again');
  }

  async #run(): Promise<void> {
    const { everyMs, logger } = this.#options;
    while (!this.#stopping) {
      try {
        await this.#look();
      } catch (err) {
        // The feed and the probe say so too.
        logger.debug({ err }, 'the relay could not look at the server');
      }
      if (!this.#stopping) await this.#bell.wait(jittered(everyMs * 1.33));
    }
  }

  async #look(): Promise<void> {
    const { db, logs } = this.#options;
    const rows = await db.query<[string, number, string]>(selectDiverged(db), [logs]);
    const found = new Map(rows.map(([log, shard, what]) => [log, { shard, what }]));
    for (const [log, { shard, what }] of found) this.found(log, shard, what);
    for (const log of this.#diverged.keys()) if (!found.has(log)) this.mended(log);
    await this.#identify();
  }

  /** Some hosts do not let their guests ask; heads that go back and entries that do not follow are found all the same. */
  async #identify(): Promise<void> {
    const { db, logger, serverChanged } = this.#options;
    const [row] = await db.query<[string | null, string | null]>(SELECT_SERVER).catch(() => []);
    const [system, timeline] = row ?? [];
    if (!system || !timeline) return;
    const [before] = await db.query<[string, string]>(rememberServer(db), [system, timeline]);
    const now = `${system}/${timeline}`;
    const known = this.#server ?? (before && before.join('/'));
    this.#server = now;
    if (known === undefined || known === now) return;
    logger.warn(
      { before: known, now },
      'Postgres is another server, or on another timeline: all logs are compared with Kafka',
    );
    serverChanged();
  }
}
