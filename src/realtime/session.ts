/** One socket: its frames, who sends them, and what happens when its client reads too slowly. */
import { randomUUID } from 'node:crypto';
import type { Principal } from '../domain/rights.js';
import {
  CLOSE_CODES,
  type CloseReason,
  type ResetReason,
  type ServerFrame,
  type SocketErrorCode,
  type UnsubReason,
} from '../protocol/frames.js';
import { Standing, type Bearer, type OwnedFrame, type StandingDeps } from './access/standing.js';
import { Backlog } from './backlog.js';
import type { Channel } from './channels.js';
import { readFrame } from './client-frames.js';
import { encodeError, encodeFrame } from './encoding.js';
import type { FollowedLog } from './followed-log.js';
import { FrameAllowance } from './frame-allowance.js';
import type { SocketState } from './ports.js';
import type { Caller, Socket } from './sockets/port.js';
import { Subscriptions, type Line, type SubscriptionsDeps } from './subscriptions.js';

export type SessionDeps = SubscriptionsDeps & StandingDeps;

export const HEARTBEAT_TOPIC = 'hb';

export class Session implements Line, Bearer {
  readonly socket: Socket;
  readonly caller: Caller;
  readonly #deps: SessionDeps;
  readonly #allowance: FrameAllowance;
  readonly #subscriptions: Subscriptions;
  readonly #standing: Standing;
  #state: SocketState | undefined;
  readonly #backlog = new Backlog();

  constructor(deps: SessionDeps, socket: Socket, caller: Caller) {
    this.socket = socket;
    this.caller = caller;
    this.#deps = deps;
    const { settings } = deps;
    this.#allowance = new FrameAllowance(settings.frameBurst, settings.framesPerSecond);
    this.#subscriptions = new Subscriptions(deps, this);
    this.tell({
      t: 'welcome',
      session: randomUUID(),
      heartbeatMs: settings.heartbeatMs,
      limits: {
        maxSubscriptions: settings.maxSubscriptions,
        maxFrameBytes: settings.maxFrameBytes,
        maxSnapshotRows: settings.maxSnapshotRows,
      },
    });
    socket.subscribe(HEARTBEAT_TOPIC);
    this.#standing = new Standing(deps, this, caller);
    this.#moved();
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
      return this.error(
        'frame_too_large',
        `the frame has ${data.byteLength} bytes, the limit is ${settings.maxFrameBytes}`,
      );
    if (isBinary) return this.error('binary_frame');
    const read = readFrame(data);
    if ('fault' in read) {
      const { id, code, message } = read.fault;
      if (id !== undefined && this.#subscriptions.has(id)) return this.error('id_in_use', undefined, id);
      return this.error(code, message, id);
    }
    const { frame } = read;
    if (frame.t === 'ping') return this.tell({ t: 'pong' });
    this.#standing.take(frame, data.byteLength);
  }

  handle(frame: OwnedFrame, principal: Principal): void {
    if (frame.t === 'unsub') {
      if (!this.#subscriptions.has(frame.id)) return this.error('unknown_id', undefined, frame.id);
      return this.#subscriptions.end(frame.id);
    }
    const fault = this.#subscriptions.add(frame, principal);
    if (fault) this.error(fault.code, fault.message, fault.id);
  }

  rightsChanged(principal: Principal): void {
    this.#subscriptions.rebind(principal);
    this.#moved();
  }

  rightsLost(why: UnsubReason): void {
    this.#subscriptions.endAll(why);
    this.#moved();
  }

  /** The client read something: what waits for that goes on. */
  drained(): void {
    if (!this.writable()) return;
    this.#backlog.clear();
    this.#subscriptions.wake();
  }

  /** The chain of `log` was broken. */
  reset(log: FollowedLog, reason: ResetReason): void {
    this.#subscriptions.reset(log, reason);
  }

  /** A channel can be kept up no more. */
  abandon(channel: Channel, code: SocketErrorCode, message: string): void {
    this.#subscriptions.abandon(channel, code, message);
  }

  /** Looks whether the client reads and has said who it is, and acts if it has not. @param now ms of the monotonic clock */
  check(now: number): void {
    const { settings, observer } = this.#deps;
    this.#standing.check(now);
    this.#subscriptions.check(now);
    const buffered = this.socket.bufferedAmount();
    const isFull = buffered > settings.maxBufferedBytes;
    if (isFull && this.#subscriptions.hasSeats) {
      observer.slowConsumer?.('left');
      this.#subscriptions.leaveTopics();
    }
    const isBlocked = isFull || (this.#subscriptions.hasJoiners && !this.writable());
    if (!isBlocked) this.drained();
    else if (this.#backlog.grewOld(buffered, now) >= settings.slowConsumerMs) {
      observer.slowConsumer?.('closed');
      return this.end('slow_consumer');
    }
    this.#moved();
  }

  /** Says that the server stops, and closes. @param reconnectInMs when the client should come back */
  bye(reconnectInMs: number): void {
    this.tell({ t: 'bye', code: CLOSE_CODES.going_away.code, reconnectInMs });
    this.end('going_away');
  }

  end(reason: CloseReason): void {
    this.socket.end(CLOSE_CODES[reason].code, reason);
  }

  /** The socket is closed: everything it held is given back. */
  closed(): void {
    this.#standing.close();
    this.#subscriptions.close();
    this.#deps.observer.socketMoved?.(this.#state, undefined);
  }

  writable(): boolean {
    return this.socket.open && this.socket.bufferedAmount() <= this.#deps.settings.maxBufferedBytes / 4;
  }

  send(text: string): void {
    if (this.socket.send(text) !== 'dropped') this.#deps.observer.framesOut?.(1, Buffer.byteLength(text));
  }

  tell(frame: ServerFrame): void {
    if (frame.t === 'authed') this.#moved();
    this.send(encodeFrame(frame));
  }

  error(code: SocketErrorCode, message?: string, id?: string): void {
    this.#deps.observer.failed?.(code);
    this.send(encodeError(id, code, message));
  }

  #moved(): void {
    const before = this.#state;
    this.#state = this.#backlog.isThere ? 'slow' : this.#standing.isKnown ? 'open' : 'waiting';
    if (this.#state !== before) this.#deps.observer.socketMoved?.(before, this.#state);
  }
}
