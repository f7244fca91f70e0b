/**
 * Trims change logs by age and size: opens new slots, drops the oldest. Elected by a lease among the projector processes;
 * what makes it exact is the locks that each step takes, so that two who believe they are elected harm nothing.
 */
import type { AnyApp } from '../../domain/app.js';
import { retentionFrom, type Retention } from '../../domain/retention.js';
import { service, type Service } from '../../platform/lifecycle.js';
import type { Logger } from '../../platform/logger.js';
import { backoff, Bell, jittered } from '../../platform/pause.js';
import type { Database } from '../../platform/postgres/database.js';
import type { Leases } from '../../platform/postgres/leases.js';
import { isRetryable, isTimeout } from '../../platform/postgres/sqlstate.js';
import { planOf, type SlottedLog } from './plan.js';
import { dropSlot, openNext, readSlots, renewSlot } from './slots.js';

/** What is counted; none may throw. */
export interface TrimObserver {
  /** A slot was opened, or dropped with all that was in it; `busy`: given up until the next look, as others held its locks. */
  trimmed?(log: string, what: 'opened' | 'dropped' | 'busy'): void;
}

export interface TrimOptions {
  readonly db: Database;
  /** What is kept of a log, whoever wrote it. */
  readonly retention: (log: string) => Retention;
  readonly logger: Logger;
  readonly observer?: TrimObserver;
}

/**
 * So long a drop waits for those who read the log, while writers and new readers wait for it: shorter than anyone notices,
 * and than Postgres waits before it looks for deadlocks.
 */
const WAIT_MS = 200;
/** After as many it is left to the next look; a dump or a long check of the log may take its time. */
const ATTEMPTS = 4;

/**
 * One look at all change logs: opens and drops what is due. A log that fails takes none of the others with it.
 * @returns the logs as they were found
 * @throws when the logs cannot be looked at
 */
export async function trimOnce(options: TrimOptions): Promise<readonly SlottedLog[]> {
  const logs = await readSlots(options.db);
  for (const log of logs) {
    try {
      await trimLog(options, log);
    } catch (err) {
      options.logger.warn({ err, log: log.log }, 'a change log could not be trimmed; at the next look again');
    }
  }
  return logs;
}

async function trimLog(options: TrimOptions, found: SlottedLog): Promise<void> {
  const { db, logger, retention } = options;
  const { log } = found;
  const { open, drop } = planOf(found, retention(log));
  if (open === 'renew') await renewSlot(db, found);
  if (open === 'new' && (await patiently(options, log, 'opened', () => openNext(db, found))))
    logger.debug({ log, slot: found.open + 1 }, 'a slot of a change log was opened');
  for (const slot of drop) {
    if (!(await patiently(options, log, 'dropped', () => dropSlot(db, log, slot, WAIT_MS)))) return;
    logger.info({ log, slot }, 'a slot of a change log was dropped');
  }
}

/** Tries again while others hold the locks. @returns whether it was done */
async function patiently(
  { logger, observer }: TrimOptions,
  log: string,
  what: 'opened' | 'dropped',
  work: () => Promise<boolean>,
): Promise<boolean> {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    try {
      const done = await work();
      if (done) observer?.trimmed?.(log, what);
      return done;
    } catch (error) {
      if (!isTimeout(error) && !isRetryable(error)) throw error;
      await new Promise((resolve) => setTimeout(resolve, backoff(attempt, 100, 2_000)));
    }
  }
  observer?.trimmed?.(log, 'busy');
  logger.info({ log }, 'a change log is in use; it is trimmed at a later look');
  return false;
}

/** What is kept of a log: what its projection says, also of versions of it that this code does not know; else what the app says. */
export function retentionOf({ changes, views }: AnyApp): (log: string) => Retention {
  const own = new Map(
    views.map(({ name, changes: said }) => [name, retentionFrom(`projection ${name}`, said, changes)]),
  );
  return (log) => own.get(log.slice(0, log.lastIndexOf('.v'))) ?? changes;
}

export interface TrimmerOptions extends TrimOptions {
  readonly leases: Pick<Leases, 'join'>;
  /** Milliseconds between two looks, on the average; 60,000 unless told otherwise. */
  readonly intervalMs?: number;
}

export class Trimmer implements Service {
  readonly name = 'trimmer';
  readonly #options: TrimmerOptions;
  readonly #life: Service;
  #found: readonly SlottedLog[] = [];

  constructor(options: TrimmerOptions) {
    this.#options = options;
    let leave: (() => Promise<void>) | undefined;
    this.#life = service(this.name, {
      start: () => {
        leave = this.#stand();
        return Promise.resolve();
      },
      stop: async () => leave?.(),
    });
  }

  start(): Promise<void> {
    return this.#life.start();
  }

  /** Resolves when nothing is being trimmed. */
  stop(): Promise<void> {
    return this.#life.stop();
  }

  /** The change logs as the last look found them; none where another process is elected. */
  get logs(): readonly SlottedLog[] {
    return this.#found;
  }

  #stand(): () => Promise<void> {
    let end: (() => Promise<void>) | undefined;
    const participation = this.#options.leases.join('trimmer', 1, {
      gained: () => (end = this.#serve()),
      lost: async () => end?.(),
    });
    return () => participation.leave();
  }

  /** Looks again and again. @returns what ends it; resolves when nothing is being trimmed any more */
  #serve(): () => Promise<void> {
    const { logger, intervalMs = 60_000 } = this.#options;
    const bell = new Bell();
    let over = false;
    const serving = (async () => {
      while (!over) {
        try {
          this.#found = await trimOnce(this.#options);
        } catch (err) {
          logger.warn({ err }, 'change logs cannot be looked at; trying on');
        }
        if (!over) await bell.wait(jittered(intervalMs * 1.33));
      }
      this.#found = [];
    })();
    return () => {
      over = true;
      bell.ring();
      return serving;
    };
  }
}
