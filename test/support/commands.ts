/** A command bus on the real event store, as one process has it; several on one database are several processes. */
import type { AnyApp } from '../../src/domain/app.js';
import { CommandBus, type CommandRequest, type CommandResult } from '../../src/commands/bus.js';
import type { CommandObserver, FinishedCommand } from '../../src/commands/observer.js';
import type { CommandSettings } from '../../src/commands/options.js';
import type { EventStoreOptionsInput } from '../../src/event-store/options.js';
import { PostgresEventStore } from '../../src/event-store/store.js';
import { isTidemarkError } from '../../src/platform/errors.js';
import { silentLogger } from '../../src/platform/logger.js';
import { Database } from '../../src/platform/postgres/database.js';
import { migrate, signingKey } from '../../src/platform/postgres/migrate.js';
import { Signer } from '../../src/platform/signing.js';
import { Wakeups } from '../../src/platform/wakeups.js';

export interface CommandProcess {
  readonly database: Database;
  readonly store: PostgresEventStore;
  readonly bus: CommandBus;
  readonly signer: Signer;
  /** What the observer was told, in order. */
  readonly finished: FinishedCommand[];
  readonly loads: { readonly from: 'cache' | 'store'; readonly events: number }[];
  conflicts(): number;
  /** Resolves with the next word about a snapshot. */
  nextSnapshot(): Promise<string>;
  /** Runs a command as `anonymous`. */
  run(
    what: Omit<CommandRequest, 'actor' | 'payload'> & { readonly actor?: string; readonly payload?: unknown },
  ): Promise<CommandResult>;
  stop(): Promise<void>;
}

export interface CommandProcessOptions {
  readonly bus?: CommandSettings;
  readonly store?: EventStoreOptionsInput;
}

export async function startCommands(
  url: string,
  app: AnyApp,
  options: CommandProcessOptions = {},
): Promise<CommandProcess> {
  const logger = silentLogger;
  const database = new Database({ connectionString: url, schema: 'tidemark', role: 'api', logger, max: 3 });
  await migrate(database);
  const categories = app.aggregates.map((aggregate) => aggregate.name);
  const announcer = new Wakeups();
  const store = new PostgresEventStore(
    { database, categories, shards: app.shards, announcer, logger },
    options.store,
  );
  await store.start();
  const signer = new Signer(await signingKey(database));
  const finished: FinishedCommand[] = [];
  const loads: { from: 'cache' | 'store'; events: number }[] = [];
  const waiting: ((result: string) => void)[] = [];
  let conflicts = 0;
  const observer: CommandObserver = {
    finished: (command) => finished.push(command),
    loaded: ({ from, events }) => loads.push({ from, events }),
    conflict: () => conflicts++,
    snapshot: (_aggregate, result) => waiting.splice(0).forEach((wake) => wake(result)),
  };
  const bus = new CommandBus({ app, store, signer, logger, observer, options: options.bus ?? {} });
  await bus.start();
  return {
    database,
    store,
    bus,
    signer,
    finished,
    loads,
    conflicts: () => conflicts,
    nextSnapshot: () => new Promise((resolve) => waiting.push(resolve)),
    run: (what) => bus.execute({ actor: 'anonymous', payload: {}, ...what }),
    stop: async () => {
      await bus.stop();
      await store.stop();
      await database.end();
    },
  };
}

/** The code that a promise is rejected with, or `answered`. */
export const codeOf = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => 'answered',
    (error: unknown) => {
      if (isTidemarkError(error)) return error.code;
      throw error;
    },
  );

/** A promise that is resolved from outside. */
export function gate(): { readonly opened: Promise<void>; open(): void } {
  let open: () => void = () => undefined;
  const opened = new Promise<void>((resolve) => (open = resolve));
  return { opened, open };
}
