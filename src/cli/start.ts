/** `tidemark start`: runs an application until a signal stops it. */
import path from 'node:path';
import { Command } from 'commander';
import { loadConfig, unknownVariables, type Config } from '../app/config.js';
import { startEmbeddedPostgres, type EmbeddedPostgres } from '../app/embedded/postgres.js';
import { shownBrokers } from '../app/kafka-variables.js';
import { pageFiles } from '../app/http/page/files.js';
import { refuseOpenDoor, warnOfPage } from '../app/open-door.js';
import { createRuntime, type Runtime } from '../app/runtime.js';
import { createLogger, showUrl, type Logger } from '../platform/logger.js';
import { loadAppModule, type AppModule } from './app-module.js';
import { banner } from './banner.js';
import { BuildBar } from './build-bar.js';
import { listenToSignals, type Signals } from './signals.js';
import type { Surroundings } from './program.js';

interface StartOptions {
  readonly roles?: string;
  readonly port?: string;
  readonly realtimePort?: string;
  readonly page?: string;
  readonly quiet?: boolean;
}

/** Options of the command line stand for the variables of the same meaning. */
function environment(options: StartOptions): Record<string, string | undefined> {
  const env: Record<string, string | undefined> = { ...process.env };
  if (options.roles !== undefined) env['TIDEMARK_ROLES'] = options.roles;
  if (options.port !== undefined) env['PORT'] = options.port;
  if (options.realtimePort !== undefined) env['REALTIME_PORT'] = options.realtimePort;
  return env;
}

/** The second Ctrl-C: the watcher of the embedded Postgres stops it when we are gone. */
function force(): void {
  console.error('tidemark: stopped at once, without draining');
  process.exit(130);
}

async function embeddedFor(
  config: Config,
  projectDir: string,
  logger: Logger,
): Promise<EmbeddedPostgres | undefined> {
  if (config.databaseUrl !== undefined) return undefined;
  return startEmbeddedPostgres({
    projectDir,
    logger,
    ...(config.dataDir === undefined ? {} : { dataDir: config.dataDir }),
  });
}

const databaseLine = (config: Config, embedded: EmbeddedPostgres | undefined): string =>
  embedded ? `embedded ${embedded.version}, data in ${embedded.dataDir}` : showUrl(config.databaseUrl ?? '');

/** Resolves when the process is to stop; rejects when it cannot go on. */
async function untilTheEnd(signals: Signals, embedded: EmbeddedPostgres | undefined): Promise<void> {
  const lost = embedded?.lost.then((error) => {
    throw error;
  });
  await Promise.race([signals.first, ...(lost ? [lost] : [])]);
}

async function run(
  module: AppModule,
  config: Config,
  options: StartOptions & { readonly pageDir: string | undefined },
  projectDir: string,
): Promise<void> {
  const { pageDir } = options;
  const bar = new BuildBar(process.stderr);
  // A line of the log takes the place of the bar, which comes again below it.
  const destination = { write: (line: string) => bar.above(() => process.stdout.write(line)) };
  const logger = createLogger({ level: config.logLevel, ...(bar.isShown ? { destination } : {}) });
  for (const unknown of unknownVariables(process.env)) logger.warn(unknown, 'not a variable of Tidemark');
  if (pageDir !== undefined) warnOfPage(config, logger);
  const signals = listenToSignals(force);
  let runtime: Runtime | undefined;
  const embedded = await embeddedFor(config, projectDir, logger);
  try {
    runtime = createRuntime(module.app, config, {
      logger,
      appModule: module.file,
      ...(embedded ? { embedded } : {}),
      ...(pageDir === undefined ? {} : { pageDir }),
    });
    const end = untilTheEnd(signals, embedded);
    await Promise.race([runtime.start(), end]);
    if (options.quiet !== true && (await isRunning(end))) {
      const database = databaseLine(config, embedded);
      const kafka = config.kafka && shownBrokers(config.kafka);
      console.log(banner({ app: module.app, urls: runtime.urls, database, kafka, samples: module.samples }));
      bar.start(runtime);
    }
    await end;
  } finally {
    bar.stop();
    await runtime?.stop();
    await embedded?.stop();
    signals.ignore();
    // Everything is stopped; should something still hold the process, it does not hold the terminal.
    setTimeout(() => process.exit(), 500).unref();
  }
}

/** Whether `end` has not come yet. */
const isRunning = (end: Promise<void>): Promise<boolean> =>
  Promise.race([
    end.then(
      () => false,
      () => false,
    ),
    new Promise<boolean>((resolve) => setImmediate(resolve, true)),
  ]);

export function startCommand({ projectDir }: Surroundings): Command {
  return new Command('start')
    .description('run an application; without DATABASE_URL on an embedded Postgres')
    .argument('[app-module]', 'module whose default export is what defineApp returns')
    .option('--roles <list>', 'what this process does, like TIDEMARK_ROLES: api, relay, projector, gateway')
    .option('--port <port>', 'like PORT')
    .option('--realtime-port <port>', 'like REALTIME_PORT')
    .option('--page <dir>', 'folder with a built page, served at / of PORT')
    .option('--quiet', 'print nothing but the log')
    .action(async (file: string | undefined, options: StartOptions) => {
      const config = loadConfig(environment(options));
      const module = await loadAppModule(projectDir, file);
      const pageDir = options.page === undefined ? undefined : path.resolve(projectDir, options.page);
      // Before a database is started for it.
      refuseOpenDoor(module.app, config);
      if (pageDir !== undefined && config.roles.includes('api')) await pageFiles(pageDir);
      await run(module, config, { ...options, pageDir }, projectDir);
    });
}
