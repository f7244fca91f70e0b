/** The composition root: one process of an application, with the roles that the environment gives it. */
import type { AnyApp } from '../domain/app.js';
import { TidemarkError } from '../platform/errors.js';
import { service, type Service } from '../platform/lifecycle.js';
import { showUrl, type Logger } from '../platform/logger.js';
import type { ProjectionStatus } from '../projections/types.js';
import { assemble, type Assembly, type OwnPostgres, type RuntimeUrls } from './assembly.js';
import type { Config } from './config.js';
import { showsItsPassword, shownBrokers } from './kafka-variables.js';
import type { Phase } from './health.js';
import type { Inside } from './inside.js';
import { refuseOpenDoor } from './open-door.js';
import { prepareDatabase } from './prepare.js';
import { VERSION } from './version.js';

export type { RuntimeUrls } from './assembly.js';

export interface RuntimeDeps {
  readonly logger: Logger;
  /**
   * Absolute path of the module whose default export `app` is: read models are built in a thread that loads it. Without
   * one they are built between what else the process does.
   */
  readonly appModule?: string;
  /** A new version is built when its sources hold more events than this, else it follows; 10,000 unless told otherwise. */
  readonly rebuildFrom?: number;
  /** Used where `config.databaseUrl` is absent; the runtime stops it, also when the start fails. */
  readonly embedded?: OwnPostgres;
  /** What queries answer is checked against their output schemas too; for tests. */
  readonly checkQueryOutput?: boolean;
  /** Absolute path of a folder with a built page, to serve beside the API; without the `api` role it is not. */
  readonly pageDir?: string;
}

export interface Runtime extends Service {
  /** @throws TidemarkError with one clear line: `rights_off`, what `prepareDatabase` throws, `address_in_use`, `address_refused`, `invalid_page` */
  start(): Promise<void>;
  /** Drains and stops within `config.stopTimeoutMs`; never rejects. */
  stop(): Promise<void>;
  /** Where it is; once it is started. */
  readonly urls: RuntimeUrls;
  /** How the projections stand, as last heard; none before it is started. */
  statuses(): readonly ProjectionStatus[];
  /** For the test kit, once it is started; undefined without the `api` role. */
  readonly inside: Inside | undefined;
}

/**
 * @param app what `defineApp` returned
 * @param config as `loadConfig` gave it
 */
export function createRuntime(app: AnyApp, config: Config, deps: RuntimeDeps): Runtime {
  const { logger, embedded, checkQueryOutput = false, appModule, rebuildFrom, pageDir } = deps;
  let phase: Phase = 'starting';
  let assembly: Assembly | undefined;

  async function put(): Promise<Assembly> {
    refuseOpenDoor(app, config);
    const url = config.databaseUrl ?? embedded?.url;
    if (url === undefined)
      throw new TidemarkError('invalid_config', 'DATABASE_URL: expected one, or an embedded Postgres');
    const { roles, kafka } = config;
    const places = { database: showUrl(url), ...(kafka ? { kafka: shownBrokers(kafka) } : {}) };
    logger.info({ app: app.name, roles, ...places, version: VERSION }, 'starting');
    if (kafka && showsItsPassword(kafka))
      logger.warn('KAFKA_SASL_MECHANISM is plain and KAFKA_TLS false: the password can be read on the way');
    const ensuring = rebuildFrom === undefined ? {} : { rebuildFrom };
    const signer = await prepareDatabase(app, { url, schema: config.schema, logger, ensuring });
    const shared = { app, config, logger, url, signer, embedded, checkQueryOutput, appModule, ensuring };
    return assemble({ ...shared, pageDir, phase: () => phase });
  }

  const life = service('tidemark', {
    async start() {
      try {
        assembly = await put();
      } catch (error) {
        await embedded?.stop();
        throw error;
      }
      await assembly.stack.start();
      if (phase === 'starting') phase = 'running';
      logger.info(assembly.urls(), 'ready');
    },
    async stop() {
      await assembly?.stack.stop();
      logger.info('stopped');
    },
  });
  return {
    ...life,
    stop() {
      phase = 'stopping';
      return life.stop();
    },
    get urls() {
      if (!assembly) throw new Error('the runtime has no URLs before it is started');
      return assembly.urls();
    },
    statuses: () => assembly?.statuses() ?? [],
    get inside() {
      return assembly?.inside;
    },
  };
}
