/** Projectors and gateways on a real Postgres, and clients of theirs. */
import { PostgresFeed } from '../../../src/broker/postgres/feed.js';
import type { AnyApp } from '../../../src/domain/app.js';
import { HeadProbe } from '../../../src/platform/head-probe.js';
import { silentLogger } from '../../../src/platform/logger.js';
import { Database } from '../../../src/platform/postgres/database.js';
import { readHeads } from '../../../src/platform/postgres/logs.js';
import { signingKey } from '../../../src/platform/postgres/migrate.js';
import { Signer } from '../../../src/platform/signing.js';
import { readChanges } from '../../../src/projections/change-log.js';
import { readSnapshot } from '../../../src/projections/snapshot.js';
import { dropSlot, openNext, readSlots } from '../../../src/projections/trimming/slots.js';
import type { ChangeEntry } from '../../../src/projections/types.js';
import { changeLogName } from '../../../src/protocol/positions.js';
import { SUBPROTOCOL, type ClientFrame, type ServerFrame } from '../../../src/protocol/frames.js';
import { createGateway, type Gateway, type GatewayOptions } from '../../../src/realtime/gateway.js';
import type { GatewaySettingsInput } from '../../../src/realtime/options.js';
import type { GatewayObserver } from '../../../src/realtime/ports.js';
import type { SocketEngine } from '../../../src/realtime/sockets/port.js';
import { freshDatabase, type FreshDatabase } from '../postgres.js';
import { append, startProjecting, type ProjectingProcess } from '../projecting.js';
import { Board, BOARD_LOG, boardApp } from './board.js';
import { LiveView, route, type Subscribe } from './live-view.js';
import { SocketClient, type ConnectOptions } from './socket-client.js';

export class RealtimeStack {
  readonly pg: FreshDatabase;
  readonly projecting: ProjectingProcess;
  readonly db: Database;
  readonly signer: Signer;
  readonly #app: AnyApp;
  readonly #probe: HeadProbe;
  readonly #gateways: Gateway[] = [];
  readonly #clients: LiveClient[] = [];

  private constructor(
    app: AnyApp,
    pg: FreshDatabase,
    projecting: ProjectingProcess,
    db: Database,
    signer: Signer,
  ) {
    this.#app = app;
    this.pg = pg;
    this.projecting = projecting;
    this.db = db;
    this.signer = signer;
    this.#probe = new HeadProbe({
      db,
      wakeups: projecting.wakeups,
      logger: silentLogger,
      intervalMs: 100,
      logs: { events: [], changes: app.views.map(({ name, version }) => changeLogName(name, version)) },
    });
  }

  static async start(app: AnyApp = boardApp): Promise<RealtimeStack> {
    const pg = await freshDatabase();
    const projecting = await startProjecting(pg.url, app);
    const db = new Database({
      connectionString: pg.url,
      schema: 'tidemark',
      role: 'gateway',
      logger: silentLogger,
    });
    const stack = new RealtimeStack(app, pg, projecting, db, new Signer(await signingKey(db)));
    await stack.#probe.start();
    return stack;
  }

  /** @param watching told of heads, as in an application; without, only entries and clients tell what happened to the log */
  async gateway(
    engine: SocketEngine,
    settings: GatewaySettingsInput = {},
    observer: GatewayObserver = {},
    watching = true,
    more: Pick<GatewayOptions, 'rights' | 'trustProxy'> = {},
  ): Promise<Gateway> {
    const { db, projecting, signer } = this;
    const gateway = createGateway({
      app: this.#app,
      engine,
      source: {
        heads: (logs) => readHeads(db, { events: [], changes: logs }),
        readChanges: (log, shard, after, limit) => readChanges(db, log, shard, after, limit),
        readSnapshot: (projection, filter, maxRows) => readSnapshot(db, projection, filter, maxRows),
      },
      feed: new PostgresFeed<ChangeEntry>({
        read: (log, shard, after, limit) => readChanges(db, log, shard, after, limit),
        wakeups: projecting.wakeups,
        leases: projecting.leases,
        logger: silentLogger,
      }),
      signer,
      logger: silentLogger,
      observer,
      settings: { port: 0, quietMs: 200, ...settings },
      ...more,
      watchHeads: (listener) =>
        watching ? this.#probe.onHeads(({ heads }) => listener(heads)) : () => undefined,
    });
    this.#gateways.push(gateway);
    await gateway.start();
    return gateway;
  }

  async client(gateway: Gateway, options?: ConnectOptions): Promise<LiveClient> {
    const client = await LiveClient.connect(gateway.port, options);
    this.#clients.push(client);
    return client;
  }

  set(id: string, list: string, done: boolean | null = null, note = ''): Promise<void> {
    return append(this.projecting.store, 'card', id, [{ type: 'CardSet', data: { list, done, note } }]);
  }

  remove(id: string): Promise<void> {
    return append(this.projecting.store, 'card', id, [{ type: 'CardRemoved', data: {} }]);
  }

  /** A new slot for the change log, and all older ones dropped: everything that is in it now is gone. */
  async trim(): Promise<void> {
    const found = (await readSlots(this.db)).find(({ log }) => log === BOARD_LOG);
    if (!found) throw new Error('there is no change log');
    await openNext(this.db, found);
    for (const { slot } of found.slots) await dropSlot(this.db, BOARD_LOG, slot, 5_000);
  }

  /** The log is as if it had been rebuilt in place. */
  async newEpoch(epoch: string): Promise<void> {
    await this.db.query(`UPDATE tidemark.shards SET epoch = $2 WHERE log = $1`, [BOARD_LOG, epoch]);
  }

  caughtUp(): Promise<void> {
    return this.projecting.caughtUp();
  }

  /** The table as it is: key → [rev, row]. */
  async table(): Promise<Map<string, { readonly rev: number; readonly row: unknown }>> {
    const { rows } = await readSnapshot(this.db, Board, {}, 1_000_000);
    return new Map(rows.map(([key, rev, row]) => [key, { rev, row: JSON.parse(row) as unknown }]));
  }

  async stop(): Promise<void> {
    for (const client of this.#clients) client.socket.ws.terminate();
    await Promise.all(this.#gateways.map((gateway) => gateway.stop()));
    await this.#probe.stop();
    await this.projecting.stop();
    await this.db.end();
    await this.pg.drop();
  }
}

/** One socket and its subscriptions, each checked against the contract as its frames come. */
export class LiveClient {
  readonly socket: SocketClient;
  readonly frames: ServerFrame[] = [];
  readonly views = new Map<string, LiveView>();
  /** The first breach of the contract, thrown by whoever waits. */
  #broken: unknown;

  private constructor(socket: SocketClient) {
    this.socket = socket;
    // What came with the answer to the upgrade is there already.
    for (const text of socket.received) this.#take(text);
    socket.ws.on('message', (data: Buffer) => this.#take(data.toString()));
  }

  static async connect(
    port: number,
    options: ConnectOptions = { protocols: [SUBPROTOCOL] },
  ): Promise<LiveClient> {
    return new LiveClient(await SocketClient.connect(`ws://127.0.0.1:${port}/realtime`, options));
  }

  #take(text: string): void {
    const frame = JSON.parse(text) as ServerFrame;
    this.frames.push(frame);
    try {
      route(this.views, frame);
    } catch (error) {
      this.#broken ??= error;
    }
  }

  send(frame: ClientFrame): void {
    this.socket.send(frame);
  }

  /** Subscribes and resolves when the subscription is live. */
  async live(request: Subscribe): Promise<LiveView> {
    const view = new LiveView(request);
    await this.goOn(view);
    return view;
  }

  /** Takes a view over from another socket, at the place where it stands. */
  async goOn(view: LiveView): Promise<void> {
    this.views.set(view.request.id, view);
    this.send(view.subscribe());
    await this.until(() => view.state === 'live');
  }

  async until(done: () => unknown): Promise<void> {
    await this.socket.until(() => {
      if (this.#broken !== undefined) throw this.#broken;
      return done() ? true : undefined;
    });
  }

  /** The next frame of a kind, after the `after` frames that came already. */
  async next<T extends ServerFrame['t']>(
    t: T,
    fits: (frame: Extract<ServerFrame, { t: T }>) => boolean = () => true,
    after = 0,
  ): Promise<Extract<ServerFrame, { t: T }>> {
    const isWanted = (frame: ServerFrame): frame is Extract<ServerFrame, { t: T }> =>
      frame.t === t && fits(frame as Extract<ServerFrame, { t: T }>); // t names the frame
    let found: Extract<ServerFrame, { t: T }> | undefined;
    await this.until(() => (found = this.frames.slice(after).find(isWanted)));
    if (!found) throw new Error(`no ${t}`);
    return found;
  }
}
