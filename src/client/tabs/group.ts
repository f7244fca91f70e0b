/**
 * Tabs that share a connection: whoever holds the lock leads and has the socket, the others are its guests over a channel.
 * A leader that closes or crashes lets go of the lock, and the next one leads; one that stands still (a frozen tab holds
 * its locks) has it taken away. Each tab keeps its own positions, so a new leader is no more than a lost connection.
 */
import type { ClientFrame, ServerFrame } from '../../protocol/frames.js';
import { ClientError } from '../errors.js';
import { newId } from '../ids.js';
import { MOVED, type Line, type LineEnd, type LineEvents, type OpenLine } from '../socket/line.js';
import type { TabChannel, TabPorts } from './browser.js';
import { Hub } from './hub.js';

/** A `LineEnd` as a channel can carry it. */
interface SentEnd extends Omit<LineEnd, 'error'> {
  readonly error?: { readonly code: string; readonly message: string } | undefined;
}

type Message =
  /** Of a guest: it wants a line; its frames; it has gone. */
  | { readonly m: 'hello'; readonly refresh: boolean }
  | { readonly m: 'ask'; readonly frame: ClientFrame }
  | { readonly m: 'bye' }
  /** Of the leader: that it leads from now on; that it is there; what it tells a guest. */
  | { readonly m: 'lead' }
  | { readonly m: 'here' | 'open'; readonly to: string }
  | { readonly m: 'tell'; readonly to: string; readonly frame: ServerFrame }
  | { readonly m: 'closed'; readonly to: string; readonly end: SentEnd };
type Sent = Message & { readonly from: string };

/** A leader answers at once; one that does not for so long stands still. */
const ANSWER_MS = 3_000;
const HEARTBEAT_MS = 15_000;
/** So many heartbeats of a leader may stay out before it is asked whether it is there. */
const SILENCES = 3;

const sentEnd = ({ error, ...end }: LineEnd): SentEnd => ({
  ...end,
  error: error && { code: error.code, message: error.message },
});
const lineEnd = ({ error, ...end }: SentEnd): LineEnd => ({
  ...end,
  error: error && new ClientError(error.code, error.message),
});

/** Our own line while another tab leads. */
interface Visit {
  readonly events: LineEvents;
  isOpen: boolean;
  /** Whom we hear: one that was deposed may still talk. */
  leader: string | undefined;
}

export class TabGroup {
  readonly #name: string;
  readonly #ports: TabPorts;
  readonly #open: OpenLine;
  readonly #channel: TabChannel;
  readonly #id = newId().slice(0, 12);
  readonly #gone = new AbortController();
  /** Everything we hold is let go of then. */
  readonly #until: Promise<void>;
  /** Others can tell by a lock of ours that we are there. */
  readonly #isThere: Promise<void>;
  /** There while this tab leads … */
  #hub: Hub | undefined;
  /** … with the lines of other tabs, and of whom it waits to hear that they are gone. */
  readonly #lines = new Map<string, Line>();
  readonly #watched = new Set<string>();
  /** We are in the queue for the lead. */
  #stands = false;
  #visit: Visit | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #heartbeatMs = HEARTBEAT_MS;

  /** @param open opens a socket of our own */
  constructor(name: string, ports: TabPorts, open: OpenLine) {
    this.#name = name;
    this.#ports = ports;
    this.#open = open;
    this.#channel = ports.channel(name);
    // Only we name a channel so.
    this.#channel.addEventListener('message', ({ data }) => this.#receive(data as Sent));
    const { signal } = this.#gone;
    this.#until = new Promise((resolve) => signal.addEventListener('abort', () => resolve()));
    this.#isThere = new Promise((resolve) => {
      void this.#request(this.#lifeOf(this.#id), { signal }, resolve);
    });
    this.#stand();
  }

  open(events: LineEvents, refresh: boolean): Line {
    if (this.#hub) return this.#hub.join(this.#id, events, refresh);
    const visit: Visit = { events, isOpen: false, leader: undefined };
    this.#visit = visit;
    void this.#isThere.then(() => {
      if (this.#visit !== visit) return;
      this.#say({ m: 'hello', refresh });
      this.#expectAnswer();
    });
    return {
      send: (frame) => this.#say({ m: 'ask', frame }),
      probe: () => {
        if (visit.isOpen) this.#ask();
      },
      close: () => {
        if (this.#visit !== visit) return;
        this.#visit = undefined;
        clearTimeout(this.#timer);
        this.#say({ m: 'bye' });
      },
    };
  }

  /** This tab is done with it: another one leads. */
  leave(): void {
    this.#say({ m: 'bye' });
    this.#hub?.close(MOVED);
    this.#hub = undefined;
    this.#endVisit(MOVED);
    this.#gone.abort();
    this.#channel.close();
  }

  #lifeOf(id: string): string {
    return `${this.#name} ${id}`;
  }

  #say(message: Message): void {
    if (this.#gone.signal.aborted) return;
    // eslint-disable-next-line unicorn/require-post-message-target-origin -- a BroadcastChannel is of one origin
    this.#channel.postMessage({ ...message, from: this.#id });
  }

  /** Holds a lock until we are gone. @throws what the browser throws when it is taken from us, or we leave the queue */
  #request(
    name: string,
    options: { signal: AbortSignal } | { steal: true },
    held: () => void,
  ): Promise<unknown> {
    const requested = this.#ports.locks.request(name, options, () => {
      if (!this.#gone.signal.aborted) held();
      return this.#until;
    });
    return requested.catch((error: unknown) => {
      if (!this.#gone.signal.aborted) throw error;
    });
  }

  /** Waits for the lead. */
  #stand(): void {
    if (this.#stands || this.#gone.signal.aborted) return;
    this.#stands = true;
    this.#lock({ signal: this.#gone.signal }, () => {
      this.#stands = false;
    });
  }

  #lock(options: { signal: AbortSignal } | { steal: true }, held: () => void): void {
    const lead = (): void => {
      held();
      this.#hub ??= new Hub(this.#open);
      this.#say({ m: 'lead' });
      this.#endVisit(MOVED);
    };
    this.#request(this.#name, options, lead).catch(() => this.#deposed());
  }

  /** Another tab took the lead, as this one stood still. */
  #deposed(): void {
    const hub = this.#hub;
    this.#hub = undefined;
    hub?.close(MOVED);
    this.#stand();
  }

  #endVisit(end: LineEnd): void {
    clearTimeout(this.#timer);
    const visit = this.#visit;
    this.#visit = undefined;
    visit?.events.closed(end);
  }

  /** Whether the leader is there. */
  #ask(): void {
    this.#say({ m: 'ask', frame: { t: 'ping' } });
    this.#expectAnswer();
  }

  #expectAnswer(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#lock({ steal: true }, () => undefined), ANSWER_MS);
  }

  #heard(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#ask(), SILENCES * this.#heartbeatMs);
  }

  #receive(message: Sent): void {
    if (this.#gone.signal.aborted) return;
    if (this.#hub) this.#asLeader(this.#hub, message);
    else if (this.#visit) this.#asGuest(this.#visit, message);
  }

  #asLeader(hub: Hub, message: Sent): void {
    const { from } = message;
    switch (message.m) {
      case 'hello':
        this.#say({ m: 'here', to: from });
        return this.#host(hub, from, message.refresh);
      case 'ask':
        if (message.frame.t === 'ping') this.#say({ m: 'here', to: from });
        return this.#lines.get(from)?.send(message.frame);
      case 'bye':
        this.#lines.get(from)?.close();
        this.#lines.delete(from);
        return;
      default:
    }
  }

  #host(hub: Hub, to: string, refresh: boolean): void {
    const events: LineEvents = {
      opened: () => this.#say({ m: 'open', to }),
      frame: (frame) => this.#say({ m: 'tell', to, frame }),
      closed: (end) => {
        this.#lines.delete(to);
        this.#say({ m: 'closed', to, end: sentEnd(end) });
      },
    };
    this.#lines.set(to, hub.join(to, events, refresh));
    if (this.#watched.has(to)) return;
    this.#watched.add(to);
    const gone = async (): Promise<void> => {
      this.#watched.delete(to);
      this.#lines.get(to)?.close();
      this.#lines.delete(to);
    };
    const { signal } = this.#gone;
    // Rejected when we are gone ourselves.
    this.#ports.locks.request(this.#lifeOf(to), { signal }, gone).catch(() => undefined);
  }

  #asGuest(visit: Visit, message: Sent): void {
    if (message.m === 'lead') return this.#endVisit(MOVED);
    if (!('to' in message) || message.to !== this.#id) return;
    if (message.m === 'here') visit.leader ??= message.from;
    if (visit.leader !== message.from) return;
    this.#heard();
    switch (message.m) {
      case 'open':
        if (visit.isOpen) return;
        visit.isOpen = true;
        return visit.events.opened();
      case 'tell':
        if (message.frame.t === 'welcome') this.#heartbeatMs = message.frame.heartbeatMs;
        return visit.events.frame(message.frame);
      case 'closed':
        return this.#endVisit(lineEnd(message.end));
      default:
    }
  }
}
