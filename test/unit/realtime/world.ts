/** Hub, log and clients in memory, moved step by step; what each client must have in the end is checked against the table. */
import { randomBytes } from 'node:crypto';
import { expect } from 'vitest';
import { silentLogger } from '../../../src/platform/logger.js';
import { shardOf } from '../../../src/platform/murmur2.js';
import { Signer } from '../../../src/platform/signing.js';
import type { ClientFrame, ServerFrame } from '../../../src/protocol/frames.js';
import { Hub } from '../../../src/realtime/hub.js';
import { gatewaySettings } from '../../../src/realtime/options.js';
import { boardApp, SHARDS } from '../../support/realtime/board.js';
import { LiveView, route, type Subscribe } from '../../support/realtime/live-view.js';
import { ModelLog, ModelSocket } from './model.js';
import { naiveWindow } from './naive-window.js';

export type Step =
  | { do: 'write'; id: string; list: string; done: boolean | null; long: boolean }
  | { do: 'remove'; id: string }
  | { do: 'burst'; id: string; list: string; count: number }
  | { do: 'deliver'; shard: number; count: number }
  | { do: 'answer'; which: number; when: 'asked' | 'now' | 'failed' }
  | { do: 'sub'; client: number; view: Omit<Subscribe, 'id'>; id: string }
  | { do: 'unsub'; client: number; id: string }
  | { do: 'read'; client: number; count: number }
  | { do: 'reconnect'; client: number }
  | { do: 'check' | 'sweep' | 'turn' | 'restart' | 'heads' | 'reset' }
  | { do: 'rebuild'; further: boolean }
  | { do: 'trim'; shard: number; back: number };

const CALLER = { address: '127.0.0.1', credentials: undefined };

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

export class World {
  readonly log = new ModelLog();
  readonly clients = [0, 1].map(() => ({ socket: new ModelSocket(), views: new Map<string, LiveView>() }));
  hub = this.#hub();
  readonly resets: string[] = [];
  /** Resets that wait for their turn. */
  readonly #turns: (() => void)[] = [];
  left = 0;
  /** Subscriptions that got what they missed. */
  replayed = 0;
  /** How often a live window was compared with the query. */
  windows = 0;

  async begin(): Promise<void> {
    await this.#startHub();
    for (const one of this.clients) this.hub.open(one.socket, CALLER);
  }

  #hub(): Hub {
    return new Hub({
      app: boardApp,
      source: this.log,
      feed: this.log,
      signer: new Signer(randomBytes(32)),
      settings: gatewaySettings.parse({
        outFrameBytes: 300,
        ringBytes: 1_500,
        replayBytes: 6_000,
        maxReplayChanges: 12,
        maxBufferedBytes: 1_000,
        heldSnapshotBytes: 2_000,
        snapshotConcurrency: 1,
        resetBatch: 1,
        windowSpareRows: 1,
      }),
      observer: {
        reset: (_view, reason) => this.resets.push(reason),
        slowConsumer: () => this.left++,
        replayed: () => this.replayed++,
      },
      logger: silentLogger,
      group: 'model',
      later: (_ms, work) => void this.#turns.push(work),
      publish: (topic, text) => {
        const sockets = this.clients.filter(({ socket }) => socket.topics.has(topic));
        for (const { socket } of sockets) socket.send(text);
        return sockets.length;
      },
    });
  }

  async #startHub(): Promise<void> {
    const starting = this.hub.start();
    while (this.log.calls.length > 0) this.log.calls.shift()?.settle('now');
    await starting;
  }

  async step(step: Step): Promise<void> {
    switch (step.do) {
      case 'write': {
        const { id, list, done, long } = step;
        return this.log.write(id, { list, done, note: this.#note((long ? 'x' : '').repeat(200)) });
      }
      case 'burst': {
        for (let n = 0; n < step.count; n++)
          this.log.write(step.id, { list: step.list, done: null, note: this.#note('y'.repeat(200)) });
        await this.log.deliver(shardOf(step.id, SHARDS), step.count);
        return this.hub.check();
      }
      case 'remove':
        return this.log.write(step.id, null);
      case 'deliver':
        await this.log.deliver(step.shard, step.count);
        return;
      case 'answer': {
        const [call] = this.log.calls.splice(step.which % Math.max(1, this.log.calls.length), 1);
        call?.settle(step.when);
        return turn();
      }
      case 'sub':
        return this.#subscribe(step.client, { id: step.id, ...step.view });
      case 'unsub': {
        if (this.clients[step.client]?.views.delete(step.id))
          this.send(step.client, { t: 'unsub', id: step.id });
        return;
      }
      case 'read':
        return this.read(step.client, step.count);
      case 'reconnect':
        return this.#reconnect(step.client);
      case 'check':
        return this.hub.check();
      case 'sweep':
        return this.hub.sweep();
      case 'turn':
        return turn();
      case 'restart':
        return this.#restart();
      case 'rebuild':
        return this.log.rebuild(step.further);
      case 'heads':
        return this.hub.headsSeen(this.log.currentHeads());
      case 'reset':
        return this.#turns.shift()?.();
      case 'trim':
        return this.log.trim(step.shard, this.log.head(step.shard) - step.back);
    }
  }

  /** What is written tells of which epoch it is. */
  #note(text: string): string {
    return `${this.log.epoch} ${text}`;
  }

  read(index: number, count: number): void {
    const one = this.clients[index];
    for (let n = 0; one && n < count; n++) {
      const text = one.socket.queue.shift();
      if (text === undefined) break;
      // Frames of a subscription that was ended come until the server has heard of it; its id may be in use again.
      const frame = JSON.parse(text) as ServerFrame;
      for (const known of one.views.values()) checkEpoch(known, frame);
      route(one.views, frame);
      for (const known of one.views.values()) this.#checkWindow(known);
    }
    if (one) this.hub.drain(one.socket);
  }

  send(index: number, frame: ClientFrame): void {
    const socket = this.clients[index]?.socket;
    if (socket?.open) this.hub.message(socket, Buffer.from(JSON.stringify(frame)), false);
  }

  #subscribe(index: number, request: Subscribe): void {
    const views = this.clients[index]?.views;
    if (!views || views.has(request.id)) return;
    // What is still on its way to an earlier subscription of this id comes to nobody.
    this.read(index, Infinity);
    const fresh = new LiveView(request);
    views.set(request.id, fresh);
    this.send(index, fresh.subscribe());
  }

  #reconnect(index: number): void {
    const one = this.clients[index];
    if (!one) return;
    this.hub.close(one.socket, 1006);
    one.socket = new ModelSocket();
    this.hub.open(one.socket, CALLER);
    for (const known of one.views.values()) this.send(index, known.subscribe());
  }

  async #restart(): Promise<void> {
    await this.end();
    this.hub = this.#hub();
    await this.#startHub();
    this.clients.forEach((_, index) => this.#reconnect(index));
  }

  async end(): Promise<void> {
    const stopping = this.hub.stop();
    for (const { socket } of this.clients) this.hub.close(socket, 1006);
    let stopped = false;
    void stopping.then(() => (stopped = true));
    while (!stopped) {
      for (const call of this.log.calls.splice(0)) call.settle('now');
      await turn();
    }
  }

  /** Lets everything happen that is still to happen. */
  async settle(): Promise<void> {
    this.hub.headsSeen(this.log.currentHeads());
    for (let round = 0, quiet = 0; quiet < 4; round++) {
      if (round > 2_000) throw new Error('it never comes to rest');
      let busy = this.log.calls.length > 0 || this.#turns.length > 0;
      for (const go of this.#turns.splice(0)) go();
      while (this.log.calls.length > 0) this.log.calls.shift()?.settle('now');
      for (let n = 0; n < SHARDS; n++) busy = (await this.log.deliver(n, 100)) || busy;
      this.clients.forEach((one, index) => {
        busy ||= one.socket.queue.length > 0;
        this.read(index, Infinity);
        for (const failed of one.views.values())
          if (failed.state === 'failed') {
            busy = true;
            this.send(index, failed.subscribe());
          }
      });
      this.hub.check();
      await turn();
      quiet = busy ? 0 : quiet + 1;
    }
  }

  verify(): void {
    for (const { views, socket } of this.clients) {
      expect(socket.closedWith).toBeUndefined();
      for (const known of views.values()) this.#verifyView(known);
    }
  }

  /** Between any two frames, a live window is what the query gives at the position that the client has. */
  #checkWindow({ isWindow, state, epoch, last, request, rows }: LiveView): void {
    if (!isWindow || state !== 'live' || epoch === undefined) return;
    const wanted = naiveWindow(this.log.historyOf(epoch), last, request);
    this.windows++;
    expect(sorted(rows)).toEqual(wanted.sort(([a], [b]) => (a < b ? -1 : 1)));
  }

  #verifyView(known: LiveView): void {
    expect(known.state).toBe('live');
    if (known.isWindow) {
      expect(known.epoch).toBe(this.log.epoch);
      const heads = new Map(this.log.currentHeads().map(({ shard, head }) => [shard, head]));
      const wanted = naiveWindow(this.log.historyOf(this.log.epoch), heads, known.request);
      expect(sorted(known.rows)).toEqual(wanted.sort(([a], [b]) => (a < b ? -1 : 1)));
      return;
    }
    const { key, where } = known.request;
    const filter = { ...(key === undefined ? {} : { key }), ...(where === undefined ? {} : { where }) };
    const wanted = this.log.matching(filter).map(([id, rev, row]) => [id, rev, JSON.parse(row)]);
    const got = [...known.rows]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([id, { rev, row }]) => [id, rev, row]);
    // A row that left a filter and came back unchanged in between keeps the revision of its last change.
    expect(got).toEqual(wanted);
    this.log.shards.forEach((entries, n) => {
      const mine = known.seen.filter((one) => one.startsWith(`${n}/`)).map((one) => Number(one.slice(2)));
      const from = new Map(known.resumedFrom?.pos).get(n) ?? 0;
      const after = known.resumedFrom ? from : (mine[0] ?? Infinity) - 1;
      const all = entries.filter(({ seq }) => seq > after).filter((entry) => concerns(entry, known.request));
      expect(mine.filter((seq) => seq > (this.log.low[n] ?? 0))).toEqual(all.map(({ seq }) => seq));
    });
  }
}

const sorted = (rows: LiveView['rows']): unknown[] =>
  [...rows].sort(([a], [b]) => (a < b ? -1 : 1)).map(([id, { rev, row }]) => [id, rev, row]);

/** A change of a log that was rebuilt goes to nobody who still follows the one before. */
function checkEpoch(known: LiveView, frame: ServerFrame): void {
  // A row that moves up in a window may have been written before the rebuild; windows are held against their history.
  if (frame.t !== 'chg' || known.epoch === undefined || known.isWindow) return;
  if ('id' in frame ? frame.id !== known.request.id : frame.ch !== known.ch) return;
  for (const [, , , rows] of frame.d)
    for (const [, , row] of rows) if (row) expect(String(row['note']).split(' ')[0]).toBe(known.epoch);
}

function concerns(
  entry: { readonly key: string; readonly before: unknown; readonly row: string | null },
  { key, where }: Subscribe,
): boolean {
  if (key !== undefined) return entry.key === key;
  const after: unknown = entry.row === null ? null : JSON.parse(entry.row);
  const fits = (fields: unknown): boolean =>
    typeof fields === 'object' &&
    fields !== null &&
    Object.entries(where ?? {}).every(([name, value]) =>
      Object.entries(fields).some(([n, v]) => n === name && v === value),
    );
  return fits(entry.before) || fits(after);
}
