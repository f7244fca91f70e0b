/** Ten thousand sockets without a network: what they cost the hub and the database, and nothing else. */
import { randomBytes } from 'node:crypto';
import { PostgresFeed } from '../../../src/broker/postgres/feed.js';
import { silentLogger } from '../../../src/platform/logger.js';
import { readHeads } from '../../../src/platform/postgres/logs.js';
import { Signer } from '../../../src/platform/signing.js';
import { readChanges } from '../../../src/projections/change-log.js';
import { readSnapshot } from '../../../src/projections/snapshot.js';
import type { ChangeEntry } from '../../../src/projections/types.js';
import type { ClientFrame } from '../../../src/protocol/frames.js';
import type { SocketRights } from '../../../src/realtime/access/rights.js';
import { Hub } from '../../../src/realtime/hub.js';
import { gatewaySettings } from '../../../src/realtime/options.js';
import type { Caller, SendResult, Socket } from '../../../src/realtime/sockets/port.js';
import { boardApp } from './board.js';
import type { RealtimeStack } from './stack.js';

const CALLER: Caller = { address: '127.0.0.1', credentials: undefined };

/** Reads at once what it is sent, and keeps the last frames of it. */
export class CrowdSocket implements Socket {
  readonly remoteAddress = '127.0.0.1';
  open = true;
  readonly frames: string[] = [];
  readonly #topics: Map<string, Set<CrowdSocket>>;

  constructor(topics: Map<string, Set<CrowdSocket>>) {
    this.#topics = topics;
  }

  send(text: string): SendResult {
    this.frames.push(text);
    return 'sent';
  }

  bufferedAmount(): number {
    return 0;
  }

  subscribe(topic: string): void {
    const members = this.#topics.get(topic);
    if (members) members.add(this);
    else this.#topics.set(topic, new Set([this]));
  }

  unsubscribe(topic: string): void {
    this.#topics.get(topic)?.delete(this);
  }

  cork(work: () => void): void {
    work();
  }

  end(): void {
    this.open = false;
  }
}

/** How often the database was asked for what. */
export interface Asked {
  heads: number;
  pages: number;
  snapshots: number;
}

/** One hub on a real Postgres, and its sockets. */
export class Crowd {
  readonly asked: Asked = { heads: 0, pages: 0, snapshots: 0 };
  readonly sockets: CrowdSocket[] = [];
  readonly #topics = new Map<string, Set<CrowdSocket>>();
  readonly #hub: Hub;

  constructor({ db, projecting }: RealtimeStack, rights?: SocketRights) {
    const { asked } = this;
    this.#hub = new Hub({
      app: boardApp,
      rights,
      source: {
        heads(logs) {
          asked.heads++;
          return readHeads(db, { events: [], changes: logs });
        },
        readChanges(log, shard, after, limit) {
          asked.pages++;
          return readChanges(db, log, shard, after, limit);
        },
        readSnapshot(projection, filter, maxRows) {
          asked.snapshots++;
          return readSnapshot(db, projection, filter, maxRows);
        },
      },
      feed: new PostgresFeed<ChangeEntry>({
        read: (log, shard, after, limit) => readChanges(db, log, shard, after, limit),
        wakeups: projecting.wakeups,
        leases: projecting.leases,
        logger: silentLogger,
      }),
      signer: new Signer(randomBytes(32)),
      settings: gatewaySettings.parse({ maxSocketsPerPrincipal: 100_000 }),
      observer: {},
      logger: silentLogger,
      group: 'crowd',
      publish: (topic, text) => {
        const members = this.#topics.get(topic);
        for (const socket of members ?? []) socket.send(text);
        return members?.size ?? 0;
      },
    });
  }

  start(): Promise<void> {
    return this.#hub.start();
  }

  /** All of them in this very turn. @param frames what the nth sends */
  come(count: number, frames: (n: number) => readonly ClientFrame[]): void {
    for (let n = 0; n < count; n++) {
      const socket = new CrowdSocket(this.#topics);
      this.sockets.push(socket);
      this.#hub.open(socket, CALLER);
      for (const frame of frames(n)) this.#hub.message(socket, Buffer.from(JSON.stringify(frame)), false);
    }
  }

  /** Resolves when each of them has a frame with this in it. */
  async everyone(text: string): Promise<void> {
    const missing = new Set(this.sockets);
    const deadline = performance.now() + 60_000;
    while (missing.size > 0) {
      for (const socket of missing)
        if (socket.frames.some((frame) => frame.includes(text))) missing.delete(socket);
      if (performance.now() > deadline) throw new Error(`${missing.size} of them never had ${text}`);
      await new Promise<void>((resolve) => setTimeout(resolve, 20));
    }
  }

  async stop(): Promise<void> {
    for (const socket of this.sockets) {
      socket.open = false;
      this.#hub.close(socket, 1006);
    }
    await this.#hub.stop();
  }
}
