/** The subscriptions of one socket: which channels it sits in, and what brings the others up. */
import type { AnyApp } from '../domain/app.js';
import type { Principal } from '../domain/rights.js';
import { isTidemarkError, messageOf } from '../platform/errors.js';
import type { Signer } from '../platform/signing.js';
import type { ServingGate } from '../projections/types.js';
import {
  SOCKET_ERRORS,
  type ResetReason,
  type SocketErrorCode,
  type SubFrame,
  type UnsubReason,
} from '../protocol/frames.js';
import type { SocketRights } from './access/rights.js';
import { bindSubscription, type Bound } from './bindings.js';
import type { Channel } from './channels.js';
import type { FrameFault } from './client-frames.js';
import { encodeFrame } from './encoding.js';
import type { FollowedLog } from './followed-log.js';
import { Joiner, type JoinerDeps, type JoinerHost, type Joining } from './joiner.js';
import type { Socket } from './sockets/port.js';

export interface SubscriptionsDeps extends JoinerDeps {
  readonly app: AnyApp;
  readonly signer: Signer;
  /** Which views may be read. */
  readonly gate?: ServingGate | undefined;
  /** Who may see which rows. */
  readonly rights: SocketRights;
  /** Projection name → its change log. */
  readonly logs: ReadonlyMap<string, FollowedLog>;
}

/** What the subscriptions send on. */
export interface Line {
  readonly socket: Socket;
  /** The client reads what it is sent, so that more may be sent. */
  writable(): boolean;
  send(text: string): void;
}

interface Subscription {
  /** What was asked for, without where to go on. */
  readonly frame: SubFrame;
  readonly log: FollowedLog;
  channel: Channel;
  /** Of the rights that it stands under; see `Wanted`. */
  mark: string;
  /** Brings it up; undefined when it is live. */
  joiner: Joiner | undefined;
}

/** Live subscriptions of this socket to one channel: one place in its topic, one stream of `chg`. */
interface Seat {
  readonly log: FollowedLog;
  readonly mark: string;
  readonly ids: Set<string>;
}

export class Subscriptions implements JoinerHost {
  readonly #deps: SubscriptionsDeps;
  readonly #line: Line;
  readonly #all = new Map<string, Subscription>();
  readonly #seats = new Map<Channel, Seat>();
  readonly #joiners = new Set<Joiner>();

  constructor(deps: SubscriptionsDeps, line: Line) {
    this.#deps = deps;
    this.#line = line;
  }

  get size(): number {
    return this.#all.size;
  }

  has(id: string): boolean {
    return this.#all.has(id);
  }

  /** Some are being brought up. */
  get hasJoiners(): boolean {
    return this.#joiners.size > 0;
  }

  /** Some are live. */
  get hasSeats(): boolean {
    return this.#seats.size > 0;
  }

  /** @returns why there is none, if so */
  add(frame: SubFrame, principal: Principal): FrameFault | undefined {
    const { settings, observer } = this.#deps;
    const { id } = frame;
    const fault = (code: FrameFault['code'], message: string = SOCKET_ERRORS[code].message): FrameFault => ({
      id,
      code,
      message,
    });
    if (this.#all.has(id)) return fault('id_in_use');
    if (this.#all.size >= settings.maxSubscriptions)
      return fault('too_many_subscriptions', `a socket has at most ${settings.maxSubscriptions}`);
    const bound = this.#bind(frame, principal);
    if ('fault' in bound) return bound.fault;
    const { projection, filter, from, mark } = bound.wanted;
    const building = this.#deps.gate?.refusal(projection.name);
    if (building !== undefined) return fault('projection_building', building);
    const log = this.#deps.logs.get(projection.name);
    if (!log) return fault('unavailable');
    if (!log.channels.hasRoom(filter)) return fault('too_many_windows');
    const channel = log.channels.acquire(filter, log.position);
    const joiner = this.#joiner({ log, channel, mark }, [id]);
    const { from: _from, ...asked } = frame;
    this.#all.set(id, { frame: asked, log, channel, mark, joiner });
    observer.subscribed?.(projection.name);
    if (from) joiner.resume(from);
    this.#deps.schedule(joiner);
    return undefined;
  }

  /** Ends one that there is. @param why told to the client, with word to drop its rows; undefined: it asked for it */
  end(id: string, why?: UnsubReason): void {
    const subscription = this.#all.get(id);
    if (!subscription) return;
    if (why) this.#deps.observer.dropped?.(subscription.log.projection.name, why);
    this.#line.send(encodeFrame({ t: 'unsubbed', id, ...(why ? { reason: why, drop: true } : {}) }));
    this.#detach(id, subscription);
    this.#drop(id);
  }

  /** The principal's rights may be others: what is not its any more ends, what is something else now begins anew. */
  rebind(principal: Principal): void {
    for (const [id, subscription] of this.#all) {
      const bound = this.#bind(subscription.frame, principal);
      if ('fault' in bound) this.end(id, 'forbidden');
      else if (bound.wanted.mark !== subscription.mark) this.#move(id, subscription, bound);
    }
  }

  /** Nothing of it is the principal's any more. */
  endAll(why: UnsubReason): void {
    for (const id of this.#all.keys()) this.end(id, why);
  }

  /** The chain of `log` was broken: its subscriptions here leave their topics, and begin again when their turn comes. */
  reset(log: FollowedLog, reason: ResetReason): void {
    const joiners = [...this.#joiners].filter((joiner) => joiner.log === log);
    for (const [channel, seat] of this.#seats)
      if (seat.log === log) joiners.push(this.#vacate(channel, seat));
    for (const joiner of joiners) joiner.restart(reason);
  }

  /** The channel can be kept up no more: its subscriptions here end with an `err`. */
  abandon(channel: Channel, code: SocketErrorCode, message: string): void {
    const seat = this.#seats.get(channel);
    const joiners = [...this.#joiners].filter((joiner) => joiner.channel === channel);
    if (seat) joiners.push(this.#vacate(channel, seat));
    for (const joiner of joiners) joiner.fail(code, message);
  }

  /** Nothing more is published to this socket; it gets back in by replay once it has drained. */
  leaveTopics(): void {
    for (const [channel, seat] of this.#seats) {
      const sent = channel.sent();
      this.#vacate(channel, seat).reenter(sent);
    }
  }

  /** The client read something: what waits for that goes on. */
  wake(): void {
    for (const joiner of this.#joiners) this.#deps.schedule(joiner);
  }

  /** Gives up on what could not be brought up in time. @param now ms of a clock that never runs backwards */
  check(now: number): void {
    for (const joiner of this.#joiners) if (joiner.expired(now)) joiner.fail('unavailable');
  }

  /** The socket is closed: everything is given back. */
  close(): void {
    for (const joiner of this.#joiners) joiner.end();
    this.#joiners.clear();
    for (const channel of this.#seats.keys()) channel.seats--;
    this.#seats.clear();
    for (const subscription of this.#all.values()) this.#release(subscription);
    this.#all.clear();
  }

  writable(): boolean {
    return this.#line.writable();
  }

  send(text: string): void {
    this.#line.send(text);
  }

  cork(work: () => void): void {
    this.#line.socket.cork(work);
  }

  seated(joiner: Joiner): void {
    const { channel, log, mark } = joiner;
    this.#joiners.delete(joiner);
    const seat = this.#seats.get(channel) ?? this.#takeSeat(channel, log, mark);
    for (const id of joiner.ids) {
      seat.ids.add(id);
      const subscription = this.#all.get(id);
      if (subscription) subscription.joiner = undefined;
    }
  }

  gaveUp(joiner: Joiner): void {
    this.#joiners.delete(joiner);
    for (const id of joiner.ids) this.#drop(id);
  }

  #bind(frame: SubFrame, principal: Principal): Bound {
    const { app, signer, rights, logger } = this.#deps;
    try {
      return bindSubscription(app, signer, frame, (projection) => rights.scopeOf(principal, projection));
    } catch (error) {
      if (isTidemarkError(error, 'forbidden'))
        return { fault: { id: frame.id, code: 'forbidden', message: error.message } };
      // A rule of the application threw, or named what is no column: nothing is given out.
      logger.error({ err: error, view: frame.view, reason: messageOf(error) }, 'a rule of rights failed');
      return { fault: { id: frame.id, code: 'rule_failed', message: SOCKET_ERRORS.rule_failed.message } };
    }
  }

  #joiner(into: Joining, ids: Iterable<string>): Joiner {
    const joiner = new Joiner(this.#deps, this, into, ids);
    this.#joiners.add(joiner);
    return joiner;
  }

  /** Its rows are others now: out of its channel and into the one of the new rights, with a snapshot. */
  #move(id: string, subscription: Subscription, { wanted }: Extract<Bound, { wanted: unknown }>): void {
    const { log } = subscription;
    const channel = log.channels.acquire(wanted.filter, log.position);
    this.#detach(id, subscription);
    this.#leaveChannel(subscription);
    subscription.channel = channel;
    subscription.mark = wanted.mark;
    subscription.joiner = this.#joiner({ log, channel, mark: wanted.mark }, [id]);
    subscription.joiner.restart('rights_changed');
  }

  /** Out of what brings it up, or out of its seat. */
  #detach(id: string, { channel, joiner }: Subscription): void {
    if (joiner) {
      if (joiner.remove(id)) this.#joiners.delete(joiner);
      return;
    }
    const seat = this.#seats.get(channel);
    seat?.ids.delete(id);
    if (seat?.ids.size === 0) this.#leaveSeat(channel);
  }

  #drop(id: string): void {
    const subscription = this.#all.get(id);
    if (!subscription) return;
    this.#all.delete(id);
    this.#release(subscription);
  }

  #release(subscription: Subscription): void {
    this.#deps.observer.unsubscribed?.(subscription.log.projection.name);
    this.#leaveChannel(subscription);
  }

  #leaveChannel({ log, channel }: Subscription): void {
    if (log.channels.release(channel)) this.#deps.snapshots.forget(channel);
  }

  #takeSeat(channel: Channel, log: FollowedLog, mark: string): Seat {
    const seat: Seat = { log, mark, ids: new Set() };
    this.#seats.set(channel, seat);
    if (channel.seats === 0) channel.rebase(log.position);
    channel.seats++;
    this.#line.socket.subscribe(channel.topic);
    return seat;
  }

  #leaveSeat(channel: Channel): void {
    this.#seats.delete(channel);
    channel.seats--;
    this.#line.socket.unsubscribe(channel.topic);
  }

  /** The live subscriptions of a seat become ones that are brought up. */
  #vacate(channel: Channel, seat: Seat): Joiner {
    this.#leaveSeat(channel);
    const joiner = this.#joiner({ log: seat.log, channel, mark: seat.mark }, seat.ids);
    for (const id of seat.ids) {
      const subscription = this.#all.get(id);
      if (subscription) subscription.joiner = joiner;
    }
    return joiner;
  }
}
