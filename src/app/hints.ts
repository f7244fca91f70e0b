/** Who has grown: wake-ups between processes, and the probe that finds what no wake-up told. */
import { HeadProbe } from '../platform/head-probe.js';
import type { AnyApp } from '../domain/app.js';
import { service } from '../platform/lifecycle.js';
import type { Logger } from '../platform/logger.js';
import { LISTEN_ROLE, PostgresAnnouncer } from '../platform/postgres/notify.js';
import type { Wakeups } from '../platform/wakeups.js';
import { changeLogOf } from '../projections/names.js';
import type { Databases } from './databases.js';
import type { Layer } from './stack.js';

export interface Hints extends Layer {
  readonly announcer: PostgresAnnouncer;
  readonly probe: HeadProbe;
}

/** The probe and the notifications; beside them, one connection listens. */
const CONNECTIONS = 2;

export function createHints(
  app: AnyApp,
  deps: { readonly databases: Databases; readonly wakeups: Wakeups; readonly logger: Logger },
): Hints {
  const { databases, wakeups, logger } = deps;
  const db = databases.open('hints', CONNECTIONS, { statementTimeoutMs: 5_000 });
  const listenDb = databases.open(LISTEN_ROLE, 1);
  const announcer = new PostgresAnnouncer({ db, listenDb, wakeups, logger });
  const logs = { events: app.aggregates.map(({ name }) => name), changes: app.views.map(changeLogOf) };
  const probe = new HeadProbe({ db, wakeups, logger, logs });
  const life = service('hints', {
    async start() {
      await announcer.start();
      await probe.start();
    },
    async stop() {
      await probe.stop();
      await announcer.stop();
    },
  });
  return { ...life, announcer, probe };
}
