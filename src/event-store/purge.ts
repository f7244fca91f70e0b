/**
 * Removes idempotency keys that have outlived their time: now and then one pass over the key table, a bounded range of pages a statement.
 * Every process may do so at once; it costs nothing but a repeated look.
 */
import type { Logger } from '../platform/logger.js';
import { service, type Service } from '../platform/lifecycle.js';
import type { Database } from '../platform/postgres/database.js';
import type { EventStoreStatements } from './statements.js';

export interface PurgeDeps {
  readonly database: Database;
  readonly statements: EventStoreStatements;
  readonly logger: Logger;
  readonly keepKeysMs: number;
  readonly purgeIntervalMs: number;
  readonly purgePages: number;
}

/** Pause between two statements of a pass, so that it never holds up what else the pool is asked for. */
const BREATH_MS = 50;

/**
 * One pass over all pages of the key table.
 * @param goOn asked before each statement; false ends the pass
 * @returns keys removed
 */
export async function purgeKeys(deps: PurgeDeps, goOn: () => Promise<boolean>): Promise<number> {
  const { database, statements, keepKeysMs, purgePages } = deps;
  const [size] = await database.query<[number]>(statements.keyPages.text, [
    database.table('idempotency_keys'),
  ]);
  const pages = size?.[0] ?? 0;
  let removed = 0;
  for (let page = 0; page < pages && (await goOn()); page += purgePages) {
    const [row] = await database.query<[number]>(statements.purgeKeys.text, [
      page,
      page + purgePages,
      keepKeysMs,
    ]);
    removed += row?.[0] ?? 0;
  }
  return removed;
}

/** The periodic pass; `stop` ends it after the statement that runs. */
export function keyPurger(deps: PurgeDeps): Service {
  let stopped = false;
  let wake: () => void = () => undefined;
  let loop: Promise<void> = Promise.resolve();
  const rest = (ms: number): Promise<boolean> =>
    new Promise((resolve) => {
      if (stopped) return resolve(false);
      const timer = setTimeout(() => resolve(true), ms);
      timer.unref();
      wake = () => {
        clearTimeout(timer);
        resolve(false);
      };
    });
  const run = async (): Promise<void> => {
    while (await rest(deps.purgeIntervalMs)) {
      try {
        const removed = await purgeKeys(deps, () => rest(BREATH_MS));
        if (removed > 0) deps.logger.info({ removed }, 'expired idempotency keys removed');
      } catch (err) {
        deps.logger.warn({ err }, 'expired idempotency keys could not be removed, next pass will');
      }
    }
  };
  return service('idempotency-key-purge', {
    async start() {
      loop = run();
    },
    async stop() {
      stopped = true;
      wake();
      await loop;
    },
  });
}
