/** All sockets and all change logs of one gateway, and what goes between them. */
import type { Feed } from '../broker/ports.js';
import type { AnyApp } from '../domain/app.js';
import type { Logger } from '../platform/logger.js';
import type { LogHead } from '../platform/postgres/logs.js';
import type { Signer } from '../platform/signing.js';
import type { ChangeEntry, ServingGate } from '../projections/types.js';
import { encodeFrame } from './encoding.js';
import { FollowedLog } from './followed-log.js';
import type { Joiner } from './joiner.js';
import type { GatewaySettings } from './options.js';
import type { ChangeSource, GatewayObserver } from './ports.js';
import { Identities } from './access/identities.js';
import { NO_RIGHTS, type SocketRights } from './access/rights.js';
import { Reads } from './reads.js';
import { Resets, type Later } from './resets.js';
import { HEARTBEAT_TOPIC, Session, type SessionDeps } from './session.js';
import { Snapshots } from './snapshots.js';
import type { Caller, Socket } from './sockets/port.js';
import { Turns } from './turns.js';
import { WindowBudget } from './windows/budget.js';

export interface HubDeps {
  readonly app: AnyApp;
  readonly source: ChangeSource;
  readonly feed: Feed<ChangeEntry>;
  readonly gate?: ServingGate | undefined;
  readonly signer: Signer;
  /** Who may see what; everyone everything without it. */
  readonly rights?: SocketRights | undefined;
  /** Told of each socket that is gone. */
  readonly left?: (caller: Caller) => void;
  readonly settings: GatewaySettings;
  readonly observer: GatewayObserver;
  readonly logger: Logger;
  /** Consumer group of this process. */
  readonly group: string;
  /** To every socket of a topic; returns how many. */
  publish(topic: string, text: string): number;
  /** How resets wait for their turn; by timers unless told otherwise. */
  readonly later?: Later;
}

/** Bytes that may be published between two looks at who does not read. */
const PUBLISH_BUDGET = 8 * 1024 * 1024;
/** The sweep over quiet channels is spread over so many turns. */
export const SWEEP_TURNS = 10;

/** Where the engine begins to drop: nobody gets so far between two looks. */
export const dropLimit = (settings: GatewaySettings): number =>
  settings.maxBufferedBytes + 2 * PUBLISH_BUDGET;

export class Hub {
  readonly #deps: HubDeps;
  readonly #identities: Identities;
  readonly #sessionDeps: SessionDeps;
  readonly #logs = new Map<string, FollowedLog>();
  readonly #sessions = new Map<Socket, Session>();
  #lastCh = 0;
  #published = 0;
  #sweep = 0;

  constructor(deps: HubDeps) {
    this.#deps = deps;
    const turns = new Turns<Joiner>((joiner) => joiner.pump());
    const { rights = NO_RIGHTS } = deps;
    this.#identities = new Identities({ ...deps, rights });
    const reads = new Reads(deps.source, deps.settings, deps.observer);
    const budget = new WindowBudget(deps.settings);
    this.#sessionDeps = {
      ...deps,
      rights,
      identities: this.#identities,
      logs: this.#logs,
      snapshots: new Snapshots(reads, deps.settings),
      resets: new Resets(deps.settings, deps.later),
      schedule: (joiner) => turns.add(joiner),
    };
    for (const projection of deps.app.views) {
      const log = new FollowedLog({
        ...deps,
        reads,
        budget,
        projection,
        shards: deps.app.shards,
        nextCh: () => ++this.#lastCh,
        publish: (topic, text) => this.#publish(topic, text),
        makeRoom: (bytes) => this.#makeRoom(bytes),
        broken: (broken, reason) => {
          for (const session of this.#sessions.values()) session.reset(broken, reason);
        },
        abandoned: (channel, code, message) => {
          for (const session of this.#sessions.values()) session.abandon(channel, code, message);
        },
      });
      this.#logs.set(projection.name, log);
    }
  }

  /** Follows every change log from its heads. */
  async start(): Promise<void> {
    await Promise.all([...this.#logs.values()].map((log) => log.start()));
  }

  async stop(): Promise<void> {
    await Promise.all([...this.#logs.values()].map((log) => log.stop()));
  }

  /** Who the open sockets are. */
  get identities(): Identities {
    return this.#identities;
  }

  get sessions(): readonly Session[] {
    return [...this.#sessions.values()];
  }

  open(socket: Socket, caller: Caller): void {
    this.#sessions.set(socket, new Session(this.#sessionDeps, socket, caller));
  }

  message(socket: Socket, data: Uint8Array, isBinary: boolean): void {
    const session = this.#sessions.get(socket);
    try {
      session?.message(data, isBinary);
    } catch (error) {
      // Whatever a client managed to break: it goes, its neighbours stay.
      this.#deps.logger.error({ err: error }, 'a frame could not be handled');
      session?.end('server_error');
    }
  }

  drain(socket: Socket): void {
    this.#sessions.get(socket)?.drained();
  }

  close(socket: Socket, code: number): void {
    const session = this.#sessions.get(socket);
    if (!session) return;
    this.#sessions.delete(socket);
    session.closed();
    this.#deps.left?.(session.caller);
    this.#deps.observer.socketClosed?.(code);
  }

  heartbeat(): void {
    this.#publish(HEARTBEAT_TOPIC, encodeFrame({ t: 'hb', at: Date.now() }));
  }

  /** Quiet parts for a tenth of the channels. */
  sweep(): void {
    this.#sweep = (this.#sweep + 1) % SWEEP_TURNS;
    for (const log of this.#logs.values()) log.sweep(this.#sweep, SWEEP_TURNS);
  }

  /** Looks at every socket whether its client reads, and whose token is good no more. */
  check(): void {
    this.#published = 0;
    const now = performance.now();
    this.#identities.check(now);
    for (const session of this.#sessions.values()) session.check(now);
    for (const log of this.#logs.values()) log.checkWindows(now);
  }

  headsSeen(heads: readonly LogHead[]): void {
    for (const log of this.#logs.values()) log.headsSeen(heads);
  }

  #makeRoom(bytes: number): void {
    if (this.#published + bytes > PUBLISH_BUDGET) this.check();
  }

  #publish(topic: string, text: string): void {
    const bytes = Buffer.byteLength(text);
    this.#published += bytes;
    const count = this.#deps.publish(topic, text);
    if (count > 0) this.#deps.observer.framesOut?.(count, bytes);
  }
}
