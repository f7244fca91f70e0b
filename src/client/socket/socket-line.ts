/** A line of our own: a WebSocket, the token that opens it and is renewed in place, and a watch on its silence. */
import { SUBPROTOCOL, type ClientFrame, type ServerFrame } from '../../protocol/frames.js';
import { LONGEST_TIMER_MS } from '../backoff.js';
import { ClientError, clientError, isClientError } from '../errors.js';
import { tokenOf } from '../http/calls.js';
import type { Settings, SocketLike } from '../options.js';
import { EXPIRED, HEARTBEAT_MS, LATE, NO_CODE, NOBODY, type Line, type LineEvents } from './line.js';

const CONNECT_MS = 10_000;
/** An answer to a ping, after which a silent line is taken for dead. */
const PONG_MS = 5_000;
/** A token is renewed so long before its end, or in the last quarter of its time if that is shorter. */
const RENEW_BEFORE_MS = 60_000;
/** Clocks that disagree must not make us renew without end. */
const RENEW_AT_MOST_EVERY_MS = 5_000;

export type LineSettings = Pick<Settings, 'realtimeUrl' | 'token' | 'WebSocket'>;

export class SocketLine implements Line {
  readonly #settings: LineSettings;
  readonly #events: LineEvents;
  #socket: SocketLike | undefined;
  #isOver = false;
  #connecting: ReturnType<typeof setTimeout> | undefined;
  #watch: ReturnType<typeof setInterval> | undefined;
  #probe: ReturnType<typeof setTimeout> | undefined;
  #renewal: ReturnType<typeof setTimeout> | undefined;
  #expiresAt: number | null = null;
  #reconnectInMs: number | undefined;
  /** Something came since the last look; so often nothing did. */
  #heard = false;
  #silences = 0;
  /** What the server said of the line as a whole. */
  #error: ClientError | undefined;
  /** A token was accepted. */
  #isAuthed = false;

  constructor(settings: LineSettings, events: LineEvents, refresh: boolean) {
    this.#settings = settings;
    this.#events = events;
    void this.#open(refresh);
  }

  send(frame: ClientFrame): void {
    this.#socket?.send(JSON.stringify(frame));
  }

  probe(): void {
    this.#probe ??= setTimeout(() => this.#end(NO_CODE), PONG_MS);
    this.send({ t: 'ping' });
  }

  close(): void {
    this.#settle();
    this.#socket?.close(1000);
  }

  async #open(refresh: boolean): Promise<void> {
    this.#connecting = setTimeout(() => this.#end(NO_CODE, clientError('network_error')), CONNECT_MS);
    try {
      const token = await tokenOf(this.#settings, refresh);
      if (!this.#isOver) this.#connect(token);
    } catch (error) {
      this.#end(NO_CODE, isClientError(error) ? error : clientError('network_error', { cause: error }));
    }
  }

  /** @throws what the constructor of the WebSocket throws */
  #connect(token: string | null): void {
    const { WebSocket, realtimeUrl } = this.#settings;
    if (!WebSocket) return this.#end(NO_CODE, clientError('no_websocket'));
    const socket = new WebSocket(realtimeUrl, SUBPROTOCOL);
    socket.addEventListener('open', () => {
      if (this.#isOver) return socket.close(1000);
      clearTimeout(this.#connecting);
      this.#socket = socket;
      this.#watchEvery(HEARTBEAT_MS);
      if (token !== null) this.send({ t: 'auth', token });
      this.#events.opened();
    });
    socket.addEventListener('message', ({ data }) => {
      if (!this.#isOver && typeof data === 'string') this.#receive(data);
    });
    // A close follows.
    socket.addEventListener('error', () => undefined);
    socket.addEventListener('close', ({ code }) => {
      // Coming back in time is no help to who has none.
      this.#end(code === LATE && token === null ? NOBODY : code);
    });
  }

  #receive(text: string): void {
    this.#heard = true;
    clearTimeout(this.#probe);
    this.#probe = undefined;
    const frame = JSON.parse(text) as ServerFrame; // what the contract of the socket says
    // All of the line's subscriptions are the token's, other tabs' too: what is said of one holds for each of them.
    if (frame.t === 'unsubbed' && (frame.reason === 'token_expired' || frame.reason === 'token_revoked'))
      return this.#end(EXPIRED, new ClientError(frame.reason, 'The token is not accepted any more.'));
    // Where nobody in particular is let in, too, whoever's token is refused goes on as that; those rows were not asked for.
    if (frame.t === 'snap' || frame.t === 'live')
      if (this.#error?.code === 'auth_refused' && !this.#isAuthed) return this.#end(NOBODY);
    if (frame.t === 'welcome') this.#watchEvery(frame.heartbeatMs);
    else if (frame.t === 'authed') {
      this.#isAuthed = true;
      this.#renewBefore(frame.expiresAt);
    } else if (frame.t === 'bye') this.#reconnectInMs = frame.reconnectInMs;
    else if (frame.t === 'err' && frame.id === undefined && frame.code !== 'auth_off') {
      this.#error = new ClientError(frame.code, frame.message);
      this.#renewBefore(this.#expiresAt);
    }
    this.#events.frame(frame);
  }

  /** Heartbeats come that often: two that stay out are asked for, and then the line is dead. */
  #watchEvery(ms: number): void {
    clearInterval(this.#watch);
    this.#watch = setInterval(() => {
      this.#silences = this.#heard ? 0 : this.#silences + 1;
      this.#heard = false;
      if (this.#silences >= 2) this.probe();
    }, ms);
  }

  #renewBefore(expiresAt: number | null): void {
    clearTimeout(this.#renewal);
    this.#expiresAt = expiresAt;
    if (expiresAt === null) return;
    const left = expiresAt - Date.now();
    // Jittered: a thousand pages that were opened at once do not renew at once.
    const before = Math.min(RENEW_BEFORE_MS, left / 4) * (0.75 + Math.random() / 2);
    const ms = Math.min(LONGEST_TIMER_MS, Math.max(RENEW_AT_MOST_EVERY_MS, left - before));
    this.#renewal = setTimeout(() => void this.#renew(), ms);
  }

  async #renew(): Promise<void> {
    try {
      const token = await tokenOf(this.#settings, true);
      if (token !== null && !this.#isOver) this.send({ t: 'auth', token });
    } catch {
      // Tried again for as long as the old one is good; what then becomes of the subscriptions, the server says.
      if (!this.#isOver) this.#renewBefore(this.#expiresAt);
    }
  }

  #end(code: number, error = this.#error): void {
    if (this.#isOver) return;
    this.#settle();
    this.#socket?.close();
    this.#events.closed({ code, reconnectInMs: this.#reconnectInMs, error });
  }

  #settle(): void {
    this.#isOver = true;
    clearTimeout(this.#connecting);
    clearInterval(this.#watch);
    clearTimeout(this.#probe);
    clearTimeout(this.#renewal);
  }
}
