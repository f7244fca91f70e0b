/** The `gateway` role: the realtime socket, fed from the change logs. */
import { isTidemarkError } from '../../platform/errors.js';
import { readHeads } from '../../platform/postgres/logs.js';
import type { Database } from '../../platform/postgres/database.js';
import { readChanges } from '../../projections/change-log.js';
import { readSnapshot } from '../../projections/snapshot.js';
import type { ServingGate } from '../../projections/types.js';
import { createGateway, type Gateway } from '../../realtime/gateway.js';
import type { ChangeSource } from '../../realtime/ports.js';
import type { Context, RoleLayer } from '../context.js';
import { awayConcerns, changeFeed } from '../feeds.js';
import { listenFailure } from '../http/listen.js';
import { gatewayMetrics } from '../metrics/realtime.js';
import { chooseSocketEngine } from '../sockets.js';
import { VERSION } from '../version.js';

export interface GatewayRole extends RoleLayer {
  readonly gateway: Gateway;
}

const changeSource = (db: Database, gate: ServingGate): ChangeSource => ({
  heads: (logs) => readHeads(db, { events: [], changes: logs }),
  readChanges: (log, shard, after, limit) => readChanges(db, log, shard, after, limit),
  async readSnapshot(projection, filter, maxRows) {
    const snapshot = await readSnapshot(db, projection, filter, maxRows);
    // Rows of a table that began to be built since it was asked for are nobody's to see.
    await gate.confirm(projection.name, snapshot.epoch);
    return snapshot;
  },
});

/** How much of the time to stop may go into saying goodbye in batches. */
const DRAIN_SHARE = 0.25;

export function createGatewayRole(context: Context): GatewayRole {
  const { app, config, databases, guard, probe, logger, signer, metrics, registry } = context;
  const db = databases.open('gateway', config.poolSize);
  const source = changeSource(db, registry);
  const { feed, away } = changeFeed(context, db, source.readChanges);
  const gateway = createGateway({
    app,
    engine: chooseSocketEngine(config.socketEngine, logger),
    source,
    feed,
    gate: registry,
    signer,
    rights: guard,
    trustProxy: config.trustProxy,
    version: VERSION,
    url: config.realtimeUrl,
    logger,
    observer: gatewayMetrics(metrics),
    settings: {
      host: config.host,
      port: config.realtimePort,
      ...config.socketLimits,
      drainMs: Math.floor(config.stopTimeoutMs * DRAIN_SHARE),
    },
    origins: config.origins,
    hosts: config.hosts,
    watchHeads: (listener) => probe.onHeads(({ heads }) => listener(heads)),
  });
  return {
    name: 'gateway',
    stopWeight: 3,
    gateway,
    away,
    concerns: () => awayConcerns(away()),
    async start() {
      try {
        await gateway.start();
      } catch (error) {
        if (!isTidemarkError(error, 'listen_failed')) throw error;
        throw listenFailure({ host: config.host, port: config.realtimePort }, 'REALTIME_PORT', error.cause);
      }
    },
    stop: () => gateway.stop(),
  };
}
