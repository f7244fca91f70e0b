/**
 * One subscriber on a socket of its own, written against the contract alone: it does the arithmetic, comes back with its position
 * however the connection ended, and writes down what it applied.
 */
import WebSocket from 'ws';
import { shardOf } from '../../../../src/platform/murmur2.js';
import type { ChangePart, ServerFrame } from '../../../../src/protocol/frames.js';
import { digestOf } from './digest.js';
import type { Applied, Heads, Watched, WatcherReport } from './messages.js';

/** Faults that one writes down. */
const LISTED = 5;
const BACKOFF_MS = 50;

interface Held {
  readonly rev: number;
  readonly digest: string;
}

export interface WatcherDeps {
  readonly url: () => string;
  readonly shards: number;
  readonly silenceMs: number;
}

export class Watcher {
  readonly #watched: Watched;
  readonly #deps: WatcherDeps;
  readonly #rows = new Map<string, Held>();
  readonly #last = new Map<number, number>();
  readonly #resets: string[] = [];
  readonly #faults: string[] = [];
  #applied: Applied[] = [];
  #liveAt: [number, number][] | undefined;
  #epoch: string | undefined;
  #ch: number | undefined;
  #socket: WebSocket | undefined;
  #silence: NodeJS.Timeout | undefined;
  #again: NodeJS.Timeout | undefined;
  #connections = 0;
  #repeats = 0;
  #token: string | undefined;
  #isOut = false;

  constructor(watched: Watched, deps: WatcherDeps) {
    this.#watched = watched;
    this.#deps = deps;
    this.#token = watched.token;
    this.#connect();
  }

  get live(): boolean {
    return this.#ch !== undefined;
  }

  /** Everything up to the heads was told. */
  settled(heads: Heads): boolean {
    const { view, key } = this.#watched;
    const of = heads[view];
    if (!of || !this.live) return false;
    const own = key === undefined ? undefined : shardOf(key, this.#deps.shards);
    return of.every(
      (head, shard) => (own !== undefined && shard !== own) || (this.#last.get(shard) ?? 0) >= head,
    );
  }

  /** It was told that it may see nothing any more, and dropped its rows. */
  get out(): boolean {
    return this.#isOut;
  }

  /** Takes a new token, if it is of the same person. */
  take(who: string, token: string, inPlace: boolean): void {
    if (this.#token?.split('/')[0] !== who) return;
    this.#token = token;
    if (inPlace && this.live) this.#socket?.send(JSON.stringify({ t: 'auth', token }));
    if (!this.#isOut) return;
    this.#isOut = false;
    this.cut();
  }

  /** The connection is gone at once; it is back at once. */
  cut(): void {
    this.#leave();
    this.#connect();
  }

  report(): WatcherReport {
    return {
      watched: this.#watched,
      applied: this.#applied,
      liveAt: this.#liveAt ?? [],
      rows: [...this.#rows].map(([key, { rev, digest }]) => [key, rev, digest]),
      resets: this.#resets,
      faults: this.#faults,
      connections: this.#connections,
      repeats: this.#repeats,
    };
  }

  #leave(): void {
    clearTimeout(this.#silence);
    clearTimeout(this.#again);
    this.#ch = undefined;
    const socket = this.#socket;
    this.#socket = undefined;
    socket?.terminate();
  }

  #comeBack(ms: number): void {
    this.#leave();
    this.#again = setTimeout(() => this.#connect(), ms * (0.5 + Math.random()));
  }

  #connect(): void {
    // Half a snapshot is none.
    if (this.#epoch === undefined) this.#forget();
    const socket = new WebSocket(this.#deps.url(), 'tidemark.v1', { perMessageDeflate: false });
    this.#socket = socket;
    const current = (): boolean => this.#socket === socket;
    this.#heard();
    socket.on('open', () => {
      if (!current()) return;
      this.#connections++;
      const { token: _token, ...watched } = this.#watched;
      if (this.#token !== undefined) socket.send(JSON.stringify({ t: 'auth', token: this.#token }));
      const from = this.#epoch === undefined ? {} : { from: { epoch: this.#epoch, pos: [...this.#last] } };
      socket.send(JSON.stringify({ t: 'sub', id: 's', ...watched, ...from }));
    });
    socket.on('message', (data) => {
      if (!current()) return;
      this.#heard();
      this.#frame(JSON.parse(String(data)) as ServerFrame);
    });
    socket.on('error', () => undefined); // `close` follows
    socket.on('close', (code) => {
      if (!current()) return;
      // Its token is nobody's any more, as it was told before: it waits for another.
      if (this.#isOut) return this.#leave();
      if (code >= 4500) this.#fault(`closed with ${code}`);
      this.#comeBack(BACKOFF_MS);
    });
  }

  #heard(): void {
    if (this.#silence) this.#silence.refresh();
    else this.#silence = setTimeout(() => this.#comeBack(0), this.#deps.silenceMs);
  }

  #forget(): void {
    this.#epoch = undefined;
    this.#liveAt = undefined;
    this.#applied = [];
    this.#rows.clear();
    this.#last.clear();
  }

  #frame(frame: ServerFrame): void {
    if (this.#isOut && 'id' in frame) this.#fault(`${frame.t} after the right was lost`);
    switch (frame.t) {
      case 'snap':
        if (this.#epoch !== undefined) this.#fault('a snapshot without a reset');
        for (const [key, rev, row] of frame.rows) {
          if (this.#rows.has(key)) this.#fault(`the snapshot has ${key} twice`);
          this.#rows.set(key, { rev, digest: digestOf(row) });
        }
        break;
      case 'live':
        for (const [shard, seq] of frame.pos) {
          if (seq < (this.#last.get(shard) ?? 0)) this.#fault(`live steps back in shard ${shard}`);
          this.#last.set(shard, seq);
        }
        if (this.#epoch !== undefined && this.#epoch !== frame.epoch)
          this.#fault(`live has epoch ${frame.epoch} after ${this.#epoch}, without a reset`);
        this.#epoch = frame.epoch;
        this.#liveAt ??= frame.pos.map(([shard, seq]) => [shard, seq]);
        this.#ch = frame.ch;
        break;
      case 'chg':
        if (this.#isOut) this.#fault('a change after the right was lost');
        else if (!('ch' in frame) || frame.ch === this.#ch) for (const part of frame.d) this.#part(part);
        break;
      case 'reset':
        this.#resets.push(frame.reason);
        this.#ch = undefined;
        this.#forget();
        break;
      case 'unsubbed':
        if (!frame.drop || frame.reason === undefined) this.#fault(`unsubbed: ${JSON.stringify(frame)}`);
        this.#isOut = true;
        this.#ch = undefined;
        this.#forget();
        break;
      case 'err':
        // Both say: subscribe again.
        if (frame.code !== 'unavailable' && frame.code !== 'projection_building')
          this.#fault(`${frame.code}: ${frame.message}`);
        this.#comeBack(4 * BACKOFF_MS);
        break;
      default:
    }
  }

  #part([shard, p, s, rows]: ChangePart): void {
    const last = this.#last.get(shard) ?? 0;
    if (s <= last) {
      if (rows.length > 0) this.#repeats++;
      return;
    }
    if (p > last) {
      this.#fault(`shard ${shard}: a part after ${p}, but the last was ${last}`);
      this.#comeBack(0);
      return;
    }
    let before = last;
    for (const [key, rev, row] of rows) {
      if (rev <= before || rev > s) this.#fault(`shard ${shard}: ${rev} after ${before} in (${p}, ${s}]`);
      before = rev;
      this.#applied.push([shard, rev, key, row === null ? 1 : 0]);
      if (row === null) this.#rows.delete(key);
      else this.#rows.set(key, { rev, digest: digestOf(row) });
    }
    this.#last.set(shard, s);
  }

  #fault(what: string): void {
    if (this.#faults.length < LISTED) this.#faults.push(what);
  }
}
