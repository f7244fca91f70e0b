/** One socket: its frames, its subscriptions, and what happens when its client reads too slowly. */
import { randomUUID } from 'node:crypto';
import type { AnyApp } from '../domain/app.js';
import type { Signer } from '../platform/signing.js';
import type { ServingGate } from '../projections/types.js';
import {
  CLOSE_CODES,
  type CloseReason,
  type ResetReason,
  type SocketErrorCode,
  type SubFrame,
} from '../protocol/frames.js';
import { bindSubscription } from './bindings.js';
import type { Channel } from './channels.js';
import { readFrame } from './client-frames.js';
import { encodeError, encodeFrame } from './encoding.js';
import type { FollowedLog } from './followed-log.js';
import { Joiner, type JoinerDeps, type JoinerHost } from './joiner.js';
import { FrameAllowance } from './frame-allowance.js';
import type { Socket } from './sockets/port.js';

export interface SessionDeps extends JoinerDeps {
  readonly app: AnyApp;
  readonly signer: Signer;
  /** Which views may be read. */
  readonly gate?: ServingGate | undefined;
  /** Projection name → its change log. */
  readonly logs: ReadonlyMap<string, FollowedLog>;
}

interface Subscription {
  readonly log: FollowedLog;
  readonly channel: Channel;
  /** Brings it up; undefined when it is live. */
  joiner: Joiner | undefined;
}

/** Live subscriptions of this socket to one channel: one place in its topic, one stream of `chg`. */
interface Seat {
  readonly log: FollowedLog;
  readonly ids: Set<string>;
}

export const HEARTBEAT_TOPIC = 'hb';

export class Session implements JoinerHost {
  readonly #deps: SessionDeps;
  readonly #socket: Socket;
  readonly #allowance: FrameAllowance;
  readonly #subscriptions = new Map<string, Subscription>();
  readonly #seats = new Map<Channel, Seat>();
  readonly #joiners = new Set<Joiner>();
  #blockedSince: number | undefined;

  constructor(deps: SessionDeps, socket: Socket) {
    this.#deps = deps;
    this.#socket = socket;
    const { settings } = deps;
    this.#allowance = new FrameAllowance(settings.frameBurst, settings.framesPerSecond);
    this.send(
      encodeFrame({
        t: 'welcome',
        session: randomUUID(),
        heartbeatMs: settings.heartbeatMs,
        limits: {
          maxSubscriptions: settings.maxSubscriptions,
          maxFrameBytes: settings.maxFrameBytes,
          maxSnapshotRows: settings.maxSnapshotRows,
        },
      }),
    );
    socket.subscribe(HEARTBEAT_TOPIC);
  }

  get subscriptions(): number {
    return this.#subscriptions.size;
  }

  /** @param data valid only during the call */
  message(data: Uint8Array, isBinary: boolean): void {
    const { settings, observer } = this.#deps;
    observer.framesIn?.(1);
    if (!this.#allowance.take(performance.now())) return this.end('flooding');
    if (data.byteLength > settings.closeFrameBytes) return this.end('frame_too_large');
    if (data.byteLength > settings.maxFrameBytes)
      return this.#error(
        undefined,
        'frame_too_large',
        `the frame has ${data.byteLength} bytes, the limit is ${settings.maxFrameBytes}`,
      );
    if (isBinary) return this.#error(undefined, 'binary_frame');
    const read = readFrame(data);
    if ('fault' in read) {
      const { id, code, message } = read.fault;
      if (id !== undefined && this.#subscriptions.has(id)) return this.#error(id, 'id_in_use');
      return this.#error(id, code, message);
    }
    const { frame } = read;
    switch (frame.t) {
      case 'sub':
        return this.#subscribe(frame);
      case 'unsub':
        return this.#unsubscribe(frame.id);
      case 'auth':
        return this.#error(undefined, 'auth_off');
      case 'ping':
        return this.send(encodeFrame({ t: 'pong' }));
    }
  }

  /** The client read something: what waits for that goes on. */
  drained(): void {
    if (!this.writable()) return;
    this.#blockedSince = undefined;
    for (const joiner of this.#joiners) this.#deps.schedule(joiner);
  }

  /** The chain of `log` was broken: its subscriptions here leave their topics, and begin again when their turn comes. */
  reset(log: FollowedLog, reason: ResetReason): void {
    const joiners = [...this.#joiners].filter((joiner) => joiner.log === log);
    for (const [channel, seat] of this.#seats)
      if (seat.log === log) joiners.push(this.#vacate(channel, seat));
    for (const joiner of joiners) joiner.restart(reason);
  }

  /** Looks whether the client reads, and acts if it does not. @param now ms of a clock that never runs backwards */
  check(now: number): void {
    const { settings, observer } = this.#deps;
    for (const joiner of this.#joiners) if (joiner.expired(now)) joiner.fail('unavailable');
    const buffered = this.#socket.bufferedAmount();
    if (buffered > settings.maxBufferedBytes && this.#seats.size > 0) this.#leaveTopics();
    const isBlocked = buffered > settings.maxBufferedBytes || (this.#joiners.size > 0 && !this.writable());
    if (!isBlocked) return this.drained();
    this.#blockedSince ??= now;
    if (now - this.#blockedSince < settings.slowConsumerMs) return;
    observer.slowConsumer?.('closed');
    this.end('slow_consumer');
  }

  /** Says that the server stops, and closes. @param reconnectInMs when the client should come back */
  bye(reconnectInMs: number): void {
    const { code } = CLOSE_CODES.going_away;
    this.send(encodeFrame({ t: 'bye', code, reconnectInMs }));
    this.end('going_away');
  }

  end(reason: CloseReason): void {
    this.#socket.end(CLOSE_CODES[reason].code, reason);
  }

  /** The socket is closed: everything it held is given back. */
  closed(): void {
    for (const joiner of this.#joiners) joiner.end();
    this.#joiners.clear();
    for (const channel of this.#seats.keys()) channel.seats--;
    this.#seats.clear();
    for (const subscription of this.#subscriptions.values()) this.#release(subscription);
    this.#subscriptions.clear();
  }

  writable(): boolean {
    return this.#socket.open && this.#socket.bufferedAmount() <= this.#deps.settings.maxBufferedBytes / 4;
  }

  send(text: string): void {
    if (this.#socket.send(text) !== 'dropped') this.#deps.observer.framesOut?.(1, Buffer.byteLength(text));
  }

  cork(work: () => void): void {
    this.#socket.cork(work);
  }

  seated(joiner: Joiner): void {
    const { channel, log } = joiner;
    this.#joiners.delete(joiner);
    const seat = this.#seats.get(channel) ?? this.#takeSeat(channel, log);
    for (const id of joiner.ids) {
      seat.ids.add(id);
      const subscription = this.#subscriptions.get(id);
      if (subscription) subscription.joiner = undefined;
    }
  }

  gaveUp(joiner: Joiner): void {
    this.#joiners.delete(joiner);
    for (const id of joiner.ids) this.#drop(id);
  }

  #subscribe(frame: SubFrame): void {
    const { settings, observer } = this.#deps;
    const { id } = frame;
    if (this.#subscriptions.has(id)) return this.#error(id, 'id_in_use');
    if (this.#subscriptions.size >= settings.maxSubscriptions)
      return this.#error(id, 'too_many_subscriptions', `a socket has at most ${settings.maxSubscriptions}`);
    const bound = bindSubscription(this.#deps.app, this.#deps.signer, frame);
    if ('fault' in bound) return this.#error(id, bound.fault.code, bound.fault.message);
    const { projection, filter, from } = bound.wanted;
    const building = this.#deps.gate?.refusal(projection.name);
    if (building !== undefined) return this.#error(id, 'projection_building', building);
    const log = this.#deps.logs.get(projection.name);
    if (!log) return this.#error(id, 'unavailable');
    const channel = log.channels.acquire(filter, log.position);
    const joiner = new Joiner(this.#deps, this, log, channel, [id]);
    this.#subscriptions.set(id, { log, channel, joiner });
    this.#joiners.add(joiner);
    observer.subscribed?.(projection.name);
    if (from) joiner.resume(from);
    this.#deps.schedule(joiner);
  }

  #unsubscribe(id: string): void {
    const subscription = this.#subscriptions.get(id);
    if (!subscription) return this.#error(id, 'unknown_id');
    const { channel, joiner } = subscription;
    this.send(encodeFrame({ t: 'unsubbed', id }));
    if (joiner) {
      if (joiner.remove(id)) this.#joiners.delete(joiner);
    } else {
      const seat = this.#seats.get(channel);
      seat?.ids.delete(id);
      if (seat?.ids.size === 0) this.#leaveSeat(channel);
    }
    this.#drop(id);
  }

  #drop(id: string): void {
    const subscription = this.#subscriptions.get(id);
    if (!subscription) return;
    this.#subscriptions.delete(id);
    this.#release(subscription);
  }

  #release({ log, channel }: Subscription): void {
    this.#deps.observer.unsubscribed?.(log.projection.name);
    if (log.channels.release(channel)) this.#deps.snapshots.forget(channel);
  }

  #takeSeat(channel: Channel, log: FollowedLog): Seat {
    const seat: Seat = { log, ids: new Set() };
    this.#seats.set(channel, seat);
    if (channel.seats === 0) channel.rebase(log.position);
    channel.seats++;
    this.#socket.subscribe(channel.topic);
    return seat;
  }

  #leaveSeat(channel: Channel): void {
    this.#seats.delete(channel);
    channel.seats--;
    this.#socket.unsubscribe(channel.topic);
  }

  /** The live subscriptions of a seat become ones that are brought up. */
  #vacate(channel: Channel, seat: Seat): Joiner {
    this.#leaveSeat(channel);
    const joiner = new Joiner(this.#deps, this, seat.log, channel, seat.ids);
    for (const id of seat.ids) {
      const subscription = this.#subscriptions.get(id);
      if (subscription) subscription.joiner = joiner;
    }
    this.#joiners.add(joiner);
    return joiner;
  }

  /** Nothing more is published to this socket; it gets back in by replay once it has drained. */
  #leaveTopics(): void {
    this.#deps.observer.slowConsumer?.('left');
    for (const [channel, seat] of this.#seats) {
      const sent = channel.sent();
      this.#vacate(channel, seat).reenter(sent);
    }
  }

  #error(id: string | undefined, code: SocketErrorCode, message?: string): void {
    this.#deps.observer.failed?.(code);
    this.send(encodeError(id, code, message));
  }
}
