/** Tells everybody how far a build is, about once a second. */
import type { BuildProgress } from '../types.js';
import { selectProgress, updateProgress } from './statements.js';
import type { BuildOptions, BuildShard } from './types.js';

const TELL_MS = 1_000;
/** The rate is that of the last few seconds. */
const RATE_OVER = 5;

export class ToldProgress {
  readonly #options: BuildOptions;
  readonly #total: number;
  readonly #startedAt: string;
  readonly #past: { readonly at: number; readonly events: number }[];
  #events: number;
  #phase: BuildProgress['phase'] = 'loading';
  #timer: NodeJS.Timeout | undefined;
  #telling: Promise<unknown> = Promise.resolve();

  private constructor(options: BuildOptions, shards: readonly BuildShard[], startedAt: string) {
    this.#options = options;
    this.#startedAt = startedAt;
    this.#total = shards.reduce((sum, { upto }) => sum + upto, 0);
    this.#events = shards.reduce((sum, { seq }) => sum + seq, 0);
    this.#past = [{ at: performance.now(), events: this.#events }];
  }

  /** Begins to tell; a build that goes on keeps when it began. @throws as `Database.query` */
  static async start(options: BuildOptions, shards: readonly BuildShard[]): Promise<ToldProgress> {
    const { name, version } = options.projection;
    const [row] = await options.db.query<[string | null]>(selectProgress(options.db), [name, version]);
    const told: unknown = JSON.parse(row?.[0] ?? 'null');
    const since =
      typeof told === 'object' && told !== null && 'startedAt' in told && typeof told.startedAt === 'string'
        ? told.startedAt
        : new Date().toISOString();
    const progress = new ToldProgress(options, shards, since);
    progress.#tell();
    progress.#timer = setInterval(() => progress.#tell(), TELL_MS);
    return progress;
  }

  /** Events since it began, those of earlier runs included. */
  get events(): number {
    return this.#events;
  }

  /** Some were folded. */
  add(events: number): void {
    this.#events += events;
  }

  /** What a transaction that was rolled back had folded is folded again. */
  takeBack(events: number): void {
    this.#events -= events;
  }

  indexing(): void {
    this.#phase = 'indexing';
    this.#tell();
  }

  /** Resolves when nothing is told any more. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await this.#telling;
  }

  #now(): BuildProgress {
    const at = performance.now();
    this.#past.push({ at, events: this.#events });
    if (this.#past.length > RATE_OVER) this.#past.shift();
    const [first = { at, events: this.#events }] = this.#past;
    const seconds = (at - first.at) / 1000;
    return {
      startedAt: this.#startedAt,
      phase: this.#phase,
      events: this.#events,
      total: this.#total,
      perSecond: seconds > 0 ? Math.max(0, Math.round((this.#events - first.events) / seconds)) : 0,
    };
  }

  #tell(): void {
    const { db, projection, logger } = this.#options;
    const progress = JSON.stringify(this.#now());
    this.#telling = this.#telling
      .then(() => db.query(updateProgress(db), [projection.name, projection.version, progress]))
      .catch((err: unknown) => logger.debug({ err }, 'the progress of a build could not be told'));
  }
}
