/** A client of the realtime socket, written against the contract alone: it checks the arithmetic and comes back with its position. */
import WebSocket from 'ws';
import type { ChangePart, ServerFrame, SnapRow } from '../../../src/protocol/frames.js';

export interface SeenChange {
  readonly shard: number;
  readonly key: string;
  readonly rev: number;
  readonly row: Readonly<Record<string, unknown>> | null;
}

export class Subscriber {
  /** Changes in the order in which they were applied. */
  readonly changes: SeenChange[] = [];
  readonly snapshots: SnapRow[][] = [];
  /** As they are now, by key. */
  readonly rows = new Map<string, Readonly<Record<string, unknown>>>();
  readonly resets: string[] = [];
  readonly faults: string[] = [];
  connections = 0;
  /** How often a snapshot or replay was complete. */
  lives = 0;
  readonly #url: () => string;
  readonly #sub: Readonly<Record<string, unknown>>;
  readonly #waiters = new Set<() => void>();
  #epoch: string | undefined;
  #last = new Map<number, number>();
  #socket: WebSocket | undefined;
  #closed = false;

  /** @param url where it is, or where to go at each connection */
  constructor(url: string | (() => string), sub: Readonly<Record<string, unknown>>) {
    this.#url = typeof url === 'string' ? () => url : url;
    this.#sub = sub;
    this.#connect();
  }

  /** Resolves once `holds` is true; asked again after each frame. */
  async until(holds: () => boolean): Promise<void> {
    while (!holds()) await new Promise<void>((resolve) => this.#waiters.add(resolve));
  }

  close(): void {
    this.#closed = true;
    this.#socket?.close();
  }

  #connect(): void {
    const socket = new WebSocket(this.#url(), 'tidemark.v1');
    this.#socket = socket;
    socket.on('open', () => {
      this.connections++;
      const from = this.#epoch === undefined ? {} : { from: { epoch: this.#epoch, pos: [...this.#last] } };
      socket.send(JSON.stringify({ t: 'sub', id: 's', ...this.#sub, ...from }));
    });
    socket.on('message', (data) => {
      this.#frame(JSON.parse(String(data)) as ServerFrame, socket);
      for (const wake of this.#waiters) wake();
      this.#waiters.clear();
    });
    socket.on('error', () => undefined); // `close` follows
    socket.on('close', () => {
      if (!this.#closed) setTimeout(() => this.#connect(), 20 + Math.random() * 80);
    });
  }

  #frame(frame: ServerFrame, socket: WebSocket): void {
    switch (frame.t) {
      case 'snap':
        if (this.#epoch !== undefined) this.faults.push('a snapshot without a reset');
        this.snapshots.push([...frame.rows]);
        for (const [key, , row] of frame.rows) this.rows.set(key, row);
        break;
      case 'live':
        for (const [shard, seq] of frame.pos) {
          if (this.#epoch !== undefined && seq < (this.#last.get(shard) ?? 0))
            this.faults.push(`live steps back in shard ${shard}`);
          this.#last.set(shard, seq);
        }
        this.#epoch = frame.epoch;
        this.lives++;
        break;
      case 'chg':
        for (const part of frame.d) this.#part(part, socket);
        break;
      case 'reset':
        this.resets.push(frame.reason);
        this.#epoch = undefined;
        this.#last = new Map();
        this.rows.clear();
        break;
      case 'err':
        this.faults.push(`${frame.code}: ${frame.message}`);
        break;
    }
  }

  #part([shard, p, s, rows]: ChangePart, socket: WebSocket): void {
    const last = this.#last.get(shard) ?? 0;
    if (s <= last) return;
    if (p > last) {
      this.faults.push(`shard ${shard}: a part after ${p}, but the last was ${last}`);
      socket.close();
      return;
    }
    for (const [key, rev, row] of rows) {
      if (rev <= last) this.faults.push(`shard ${shard}: revision ${rev} again after ${last}`);
      this.changes.push({ shard, key, rev, row });
      if (row === null) this.rows.delete(key);
      else this.rows.set(key, row);
    }
    this.#last.set(shard, s);
  }
}
