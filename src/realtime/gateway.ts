/** The realtime role: a socket server, the change logs it follows, and the clock that keeps both honest. */
import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import type { Feed } from '../broker/ports.js';
import type { AnyApp } from '../domain/app.js';
import { service, type Service } from '../platform/lifecycle.js';
import type { Logger } from '../platform/logger.js';
import { hostPolicy, originPolicy } from '../platform/origins.js';
import { clientAddresses, type TrustedProxies } from '../platform/proxies.js';
import type { LogHead } from '../platform/postgres/logs.js';
import type { Signer } from '../platform/signing.js';
import type { ChangeEntry, ServingGate } from '../projections/types.js';
import { Admission } from './access/admission.js';
import { NO_RIGHTS, type SocketRights } from './access/rights.js';
import { asyncApiDocument } from './asyncapi/document.js';
import { dropLimit, Hub, SWEEP_TURNS } from './hub.js';
import { gatewaySettings, type GatewaySettings, type GatewaySettingsInput } from './options.js';
import type { ChangeSource, GatewayObserver } from './ports.js';
import { REALTIME_PATH } from './paths.js';
import { plainHttp } from './plain-http.js';
import type { Caller, Socket, SocketEngine, SocketHandlers, SocketServer } from './sockets/port.js';
import { Judge } from './sse/judge.js';
import { Streams } from './sse/route.js';
import { StreamTopics } from './sse/topics.js';
import { admit, decideUpgrade, type Access } from './upgrade.js';

export interface GatewayOptions {
  readonly app: AnyApp;
  readonly engine: SocketEngine;
  readonly source: ChangeSource;
  readonly feed: Feed<ChangeEntry>;
  /** Which views may be read; all of them without it. */
  readonly gate?: ServingGate;
  readonly signer: Signer;
  readonly logger: Logger;
  /** Who may see what; without it everyone may see everything. */
  readonly rights?: SocketRights;
  /** Proxies whose `X-Forwarded-For` is believed; none unless told otherwise. */
  readonly trustProxy?: TrustedProxies;
  readonly observer?: GatewayObserver;
  readonly settings?: GatewaySettingsInput;
  /** What the AsyncAPI document says it is of. */
  readonly version?: string;
  /** Where callers reach the socket, when that is not where it listens. */
  readonly url?: string | undefined;
  /** Origins that browsers may come from; loopback unless told otherwise. */
  readonly origins?: readonly string[];
  /** Host names beside loopback that a loopback server answers to. */
  readonly hosts?: readonly string[];
  /**
   * Tells the heads that someone reads anyway; how a new epoch is noticed. Returns what ends it. Without it, a new epoch
   * is noticed when a client comes with a position or asks for a snapshot.
   */
  readonly watchHeads?: (listener: (heads: readonly LogHead[]) => void) => () => void;
}

export interface GatewayStats {
  readonly sockets: number;
  readonly subscriptions: number;
}

export interface Gateway extends Service {
  /** Port that it listens on; 0 before it does. */
  readonly port: number;
  readonly engine: string;
  stats(): GatewayStats;
}

/** A client is asked to come back after 100 ms, or later when many are. */
const RECONNECT_BASE_MS = 100;
const SOCKETS_PER_BATCH = 100;
/** What was said last gets so long to leave before the connections are cut. */
const LINGER_MS = 100;

/**
 * @throws ZodError when a setting is out of range; on `start` TidemarkError `listen_failed`, and whatever reading the heads throws
 */
export function createGateway(options: GatewayOptions): Gateway {
  const settings = gatewaySettings.parse(options.settings ?? {});
  const running = new RunningGateway(options, settings);
  const lifecycle = service('gateway', running);
  return {
    ...lifecycle,
    engine: options.engine.name,
    get port() {
      return running.port;
    },
    stats: () => running.stats(),
  };
}

class RunningGateway {
  readonly #options: GatewayOptions;
  readonly #settings: GatewaySettings;
  readonly #server: SocketServer;
  readonly #hub: Hub;
  readonly #endings: (() => void)[] = [];
  #stopping = false;
  port = 0;

  constructor(options: GatewayOptions, settings: GatewaySettings) {
    this.#options = options;
    this.#settings = settings;
    const observer = options.observer ?? {};
    const access: Access = {
      origins: originPolicy(options.origins),
      hosts: hostPolicy(settings.host, options.hosts),
      clientAddress: clientAddresses(options.trustProxy ?? false),
      rights: options.rights ?? NO_RIGHTS,
      admission: new Admission(settings),
      stopping: () => this.#stopping,
      refused: (code) => observer.refused?.(code),
    };
    const topics = new StreamTopics();
    this.#hub = new Hub({
      app: options.app,
      source: options.source,
      feed: options.feed,
      gate: options.gate,
      signer: options.signer,
      rights: options.rights,
      left: (caller) => access.admission.closed(caller.address),
      settings,
      observer,
      logger: options.logger,
      group: `gateway-${randomUUID()}`,
      publish: (topic, text) => this.#server.publish(topic, text) + topics.publish(topic, text),
    });
    this.#server = options.engine.create(
      {
        maxPayloadBytes: Math.max(settings.closeFrameBytes * 4, settings.maxFrameBytes),
        maxBackpressureBytes: dropLimit(settings),
        idleTimeoutSeconds: settings.idleTimeoutSeconds,
      },
      this.#handlers(access, topics),
    );
  }

  #handlers(access: Access, topics: StreamTopics): SocketHandlers {
    const options = this.#options;
    const hub = this.#hub;
    const open = (socket: Socket, caller: Caller): void => {
      access.admission.opened(caller.address);
      hub.open(socket, caller);
    };
    const judge = new Judge({
      ...options,
      rights: options.rights ?? NO_RIGHTS,
      identities: hub.identities,
    });
    const streams = new Streams({
      signer: options.signer,
      topics,
      judge,
      retryMs: this.#settings.retryMs,
      admit: (request) => admit(request, access),
      refused: (code) => access.refused(code),
      open,
      message: (socket, data) => hub.message(socket, data, false),
      drain: (socket) => hub.drain(socket),
      close: (socket, code) => hub.close(socket, code),
    });
    return {
      upgrade: (request) => decideUpgrade(request, access),
      request: plainHttp({ access, streams, document: () => this.#document() }),
      open,
      message: (socket, data, isBinary) => hub.message(socket, data, isBinary),
      drain: (socket) => hub.drain(socket),
      close: (socket, code) => hub.close(socket, code),
    };
  }

  async start(): Promise<void> {
    await this.#hub.start();
    const { host, port, heartbeatMs, quietMs, slowConsumerMs } = this.#settings;
    try {
      this.port = await this.#server.listen(host, port);
    } catch (error) {
      await this.#hub.stop();
      throw error;
    }
    this.#every(heartbeatMs, () => this.#hub.heartbeat());
    this.#every(Math.ceil(quietMs / SWEEP_TURNS), () => this.#hub.sweep());
    this.#every(Math.ceil(Math.min(1_000, slowConsumerMs / 4)), () => this.#hub.check());
    const unwatch = this.#options.watchHeads?.((heads) => this.#hub.headsSeen(heads));
    if (unwatch) this.#endings.push(unwatch);
    this.#options.logger.info({ host, port: this.port, engine: this.#server.engine }, 'realtime listens');
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    this.#server.stopListening();
    for (const end of this.#endings.splice(0)) end();
    await Promise.all([this.#hub.stop(), this.#sayGoodbye()]);
    await this.#server.close();
  }

  stats(): GatewayStats {
    const sessions = this.#hub.sessions;
    return {
      sockets: sessions.length,
      subscriptions: sessions.reduce((sum, session) => sum + session.subscriptions, 0),
    };
  }

  #document(): string {
    const { app, version = '0' } = this.#options;
    const { host } = this.#settings;
    const here = `ws://${host.includes(':') ? `[${host}]` : host}:${this.port}${REALTIME_PATH}`;
    return JSON.stringify(asyncApiDocument(app, { version, url: this.#options.url ?? here }));
  }

  #every(ms: number, work: () => void): void {
    const timer = setInterval(work, ms);
    timer.unref();
    this.#endings.push(() => clearInterval(timer));
  }

  /** In jittered batches over at most `drainMs`, each client with a time of its own to come back. */
  async #sayGoodbye(): Promise<void> {
    const { sessions } = this.#hub;
    if (sessions.length === 0) return;
    const batches = Math.min(20, Math.ceil(sessions.length / SOCKETS_PER_BATCH));
    const size = Math.ceil(sessions.length / batches);
    const spreadMs = RECONNECT_BASE_MS + Math.min(10_000, sessions.length);
    for (let batch = 0; batch < batches; batch++) {
      for (const session of sessions.slice(batch * size, (batch + 1) * size))
        session.bye(RECONNECT_BASE_MS + Math.floor(Math.random() * spreadMs));
      if (batch < batches - 1) await delay((this.#settings.drainMs / batches) * (0.5 + Math.random() / 2));
    }
    await delay(Math.min(LINGER_MS, this.#settings.drainMs));
  }
}
