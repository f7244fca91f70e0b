/**
 * The socket port: what the gateway needs of a WebSocket server, and nothing more. Two engines stand behind it (`uws`,
 * `ws`); both run the same contract suite. Frames sent and published reach a socket in the order of the calls.
 */
import type { Credentials } from '../../domain/rights.js';
import type { StreamAnswer } from './byte-stream.js';

/** `buffered`: it goes out as the client reads; `dropped`: the socket was over its limit (or closed) and it is lost. */
export type SendResult = 'sent' | 'buffered' | 'dropped';

export interface Socket {
  /** Address of the peer, as text. */
  readonly remoteAddress: string;
  /** False once the close handler ran; then nothing below does anything. */
  readonly open: boolean;
  send(text: string): SendResult;
  /** Bytes that wait for the client to read; 0 when closed. */
  bufferedAmount(): number;
  subscribe(topic: string): void;
  unsubscribe(topic: string): void;
  /** Several sends of `work` leave together where the engine can do that. */
  cork(work: () => void): void;
  /** Says goodbye with a code (4000–4999, or one of RFC 6455); the close handler runs. */
  end(code: number, reason: string): void;
}

/** What is known of a request before it becomes a socket. */
export interface SocketRequest {
  readonly method: string;
  /** Path without the query. */
  readonly path: string;
  /** As it stands in the URL, without the `?`; empty where there is none. */
  readonly query: string;
  readonly host: string | undefined;
  readonly origin: string | undefined;
  /** Subprotocols that the client offers. */
  readonly protocols: readonly string[];
  readonly upgrade: boolean;
  /** Address of the peer, as text: of a proxy where there is one. */
  readonly remoteAddress: string;
  readonly authorization: string | undefined;
  readonly cookie: string | undefined;
  /** `X-Forwarded-For`, all of its lines in their order, joined by commas. */
  readonly forwardedFor: string | undefined;
  readonly lastEventId: string | undefined;
}

/** Who opens a socket, as far as the request tells. */
export interface Caller {
  /** Of the client: of who a trusted proxy says it is. */
  readonly address: string;
  /** What the request showed; undefined when nothing. */
  readonly credentials: Credentials | undefined;
  /** It cannot send frames: what it showed is all that there will be. */
  readonly receivesOnly?: boolean;
}

/** A request that may become a socket. */
export interface Admitted {
  /** The subprotocol to speak; undefined: none was offered. */
  readonly protocol: string | undefined;
  readonly caller: Caller;
}

/** A plain HTTP answer. */
export interface Refusal {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

export type Answer = Refusal | StreamAnswer;

export interface SocketHandlers {
  upgrade(request: SocketRequest): Admitted | Refusal;
  /** Any request that is no upgrade: a whole answer, or one that goes on. Its promise must not reject. */
  request(request: SocketRequest): Answer | Promise<Answer>;
  open(socket: Socket, caller: Caller): void;
  /** @param data valid only until the handler returns */
  message(socket: Socket, data: Uint8Array, isBinary: boolean): void;
  /** What was buffered went out, or some of it. */
  drain(socket: Socket): void;
  close(socket: Socket, code: number): void;
}

export interface SocketServerOptions {
  /** A larger message ends the connection without further ado. */
  readonly maxPayloadBytes: number;
  /** Above it, what is sent or published to a socket is dropped. */
  readonly maxBackpressureBytes: number;
  /** A client that answers no ping for so long is cut off; 8–960. */
  readonly idleTimeoutSeconds: number;
}

export interface SocketServer {
  readonly engine: string;
  /**
   * @param port 0 takes a free one
   * @returns the port that it listens on
   * @throws TidemarkError `listen_failed` with the reason in words
   */
  listen(host: string, port: number): Promise<number>;
  /** Encodes once, sends to every socket of the topic; returns how many those are. */
  publish(topic: string, text: string): number;
  /** No new connections; those that are there go on. */
  stopListening(): void;
  /** Cuts what is left. May be called twice. */
  close(): Promise<void>;
}

export interface SocketEngine {
  readonly name: string;
  create(options: SocketServerOptions, handlers: SocketHandlers): SocketServer;
}
