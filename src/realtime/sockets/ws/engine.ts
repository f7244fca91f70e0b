/** The socket port on the `ws` package, for where uWebSockets.js does not load. Topics are sets; a frame is encoded once. */
import {
  createServer,
  STATUS_CODES,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { WebSocketServer, type WebSocket } from 'ws';
import { listenFailure } from '../listen-failure.js';
import type {
  Answer,
  Caller,
  Refusal,
  SendResult,
  Socket,
  SocketEngine,
  SocketHandlers,
  SocketRequest,
  SocketServer,
  SocketServerOptions,
} from '../port.js';
import { offeredProtocols } from '../subprotocols.js';
import { NodeStream } from './stream.js';

/** How long a client may take to answer a close frame before it is cut off. */
const CLOSE_GRACE_MS = 5_000;

class WsSocket implements Socket {
  readonly remoteAddress: string;
  readonly ws: WebSocket;
  /** Something came since the last ping. */
  alive = true;
  onEnded: ((code: number) => void) | undefined;
  #open = true;
  readonly #topics: Topics;
  readonly #limit: number;

  constructor(ws: WebSocket, remoteAddress: string, topics: Topics, limit: number) {
    this.ws = ws;
    this.remoteAddress = remoteAddress;
    this.#topics = topics;
    this.#limit = limit;
  }

  get open(): boolean {
    return this.#open;
  }

  send(text: string | Buffer): SendResult {
    if (!this.#open || this.ws.bufferedAmount > this.#limit) return 'dropped';
    this.ws.send(text, { binary: false });
    return this.ws.bufferedAmount === 0 ? 'sent' : 'buffered';
  }

  bufferedAmount(): number {
    return this.#open ? this.ws.bufferedAmount : 0;
  }

  subscribe(topic: string): void {
    if (this.#open) this.#topics.add(topic, this);
  }

  unsubscribe(topic: string): void {
    this.#topics.remove(topic, this);
  }

  cork(work: () => void): void {
    work();
  }

  end(code: number, reason: string): void {
    if (!this.#open) return;
    this.ws.close(code, reason);
    const cut = setTimeout(() => this.ws.terminate(), CLOSE_GRACE_MS);
    this.ws.once('close', () => clearTimeout(cut));
    this.onEnded?.(code);
  }

  detach(): void {
    this.#open = false;
    this.#topics.removeAll(this);
  }
}

class Topics {
  readonly #members = new Map<string, Set<WsSocket>>();
  readonly #topicsOf = new Map<WsSocket, Set<string>>();

  add(topic: string, socket: WsSocket): void {
    into(this.#members, topic).add(socket);
    into(this.#topicsOf, socket).add(topic);
  }

  remove(topic: string, socket: WsSocket): void {
    outOf(this.#members, topic, socket);
    outOf(this.#topicsOf, socket, topic);
  }

  removeAll(socket: WsSocket): void {
    for (const topic of this.#topicsOf.get(socket) ?? []) this.remove(topic, socket);
  }

  members(topic: string): ReadonlySet<WsSocket> | undefined {
    return this.#members.get(topic);
  }
}

function into<K, V>(map: Map<K, Set<V>>, key: K): Set<V> {
  const set = map.get(key) ?? new Set<V>();
  map.set(key, set);
  return set;
}

function outOf<K, V>(map: Map<K, Set<V>>, key: K, value: V): void {
  const set = map.get(key);
  set?.delete(value);
  if (set?.size === 0) map.delete(key);
}

function splitUrl(url: string): { readonly path: string; readonly query: string } {
  const mark = url.indexOf('?');
  return mark < 0 ? { path: url, query: '' } : { path: url.slice(0, mark), query: url.slice(mark + 1) };
}

const oneOf = (header: string | string[] | undefined): string | undefined => [header ?? []].flat()[0];

const describe = (message: IncomingMessage, upgrade: boolean): SocketRequest => ({
  method: message.method ?? 'GET',
  ...splitUrl(message.url ?? '/'),
  host: message.headers.host,
  origin: message.headers.origin,
  protocols: offeredProtocols(message.headers['sec-websocket-protocol']),
  upgrade,
  remoteAddress: message.socket.remoteAddress ?? '',
  authorization: message.headers.authorization,
  cookie: message.headers.cookie,
  lastEventId: oneOf(message.headers['last-event-id']),
  forwardedFor: [message.headers['x-forwarded-for'] ?? []].flat().join(', ') || undefined,
});

/** The answer, at once or when it is known; its client may be gone by then. */
function respond(response: ServerResponse, stream: NodeStream, given: Answer | Promise<Answer>): void {
  const give = (known: Answer): void => {
    if (response.destroyed) return;
    if ('status' in known)
      return void response.writeHead(known.status, { ...known.headers, connection: 'close' }).end(known.body);
    stream.begin(known.headers);
    stream.listen(known.open(stream));
  };
  if (given instanceof Promise) void given.then(give);
  else give(given);
}

/** A refused upgrade has no response object: the answer is written by hand. */
function refuseUpgrade(socket: Duplex, refusal: Refusal): void {
  const headers = {
    ...refusal.headers,
    'content-length': String(Buffer.byteLength(refusal.body)),
    connection: 'close',
  };
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  socket.end(
    `HTTP/1.1 ${refusal.status} ${STATUS_CODES[refusal.status] ?? ''}\r\n${lines.join('')}\r\n${refusal.body}`,
  );
}

class WsServer implements SocketServer {
  readonly engine = 'ws';
  readonly #options: SocketServerOptions;
  readonly #handlers: SocketHandlers;
  readonly #http: Server;
  readonly #wss: WebSocketServer;
  readonly #topics = new Topics();
  readonly #sockets = new Set<WsSocket>();
  #pings: NodeJS.Timeout | undefined;
  #closing: Promise<void> | undefined;

  constructor(options: SocketServerOptions, handlers: SocketHandlers) {
    this.#options = options;
    this.#handlers = handlers;
    this.#wss = new WebSocketServer({
      noServer: true,
      maxPayload: options.maxPayloadBytes,
      perMessageDeflate: false,
      clientTracking: false,
    });
    this.#http = createServer({ requestTimeout: 10_000, headersTimeout: 10_000 }, (message, response) => {
      const described = describe(message, false);
      const stream = new NodeStream(response, described.remoteAddress, options.maxBackpressureBytes);
      respond(response, stream, handlers.request(described));
    });
    this.#http.on('upgrade', (message, socket, head) => this.#upgrade(message, socket, head));
  }

  async listen(host: string, port: number): Promise<number> {
    await new Promise<void>((resolve, reject) => {
      this.#http.once('error', reject);
      this.#http.listen(port, host, () => {
        this.#http.off('error', reject);
        resolve();
      });
    }).catch(async (error: unknown) => {
      throw await listenFailure(host, port, error);
    });
    this.#pings = setInterval(() => this.#ping(), (this.#options.idleTimeoutSeconds * 1_000) / 2);
    const { port: bound } = this.#http.address() as AddressInfo; // a TCP server's address is one
    return bound;
  }

  publish(topic: string, text: string): number {
    const members = this.#topics.members(topic);
    if (!members) return 0;
    const encoded = Buffer.from(text);
    for (const socket of members) socket.send(encoded);
    return members.size;
  }

  stopListening(): void {
    if (this.#http.listening) this.#http.close();
  }

  close(): Promise<void> {
    this.#closing ??= (async () => {
      clearInterval(this.#pings);
      const done = new Promise<void>((resolve) => {
        if (this.#http.listening) this.#http.close(() => resolve());
        else resolve();
      });
      for (const socket of this.#sockets) socket.ws.terminate();
      this.#http.closeAllConnections();
      await done;
    })();
    return this.#closing;
  }

  #upgrade(message: IncomingMessage, stream: Duplex, head: Buffer): void {
    stream.on('error', () => stream.destroy());
    const decision = this.#handlers.upgrade(describe(message, true));
    if ('status' in decision) return refuseUpgrade(stream, decision);
    // `ws` picks the first protocol of the header: it is told ours.
    if (decision.protocol !== undefined) message.headers['sec-websocket-protocol'] = decision.protocol;
    const { caller } = decision;
    const remoteAddress = message.socket.remoteAddress ?? '';
    this.#wss.handleUpgrade(message, stream, head, (ws) => this.#opened(ws, stream, remoteAddress, caller));
  }

  #opened(ws: WebSocket, stream: Duplex, remoteAddress: string, caller: Caller): void {
    const socket = new WsSocket(ws, remoteAddress, this.#topics, this.#options.maxBackpressureBytes);
    this.#sockets.add(socket);
    const closed = (code: number): void => {
      if (!socket.open) return;
      socket.detach();
      this.#handlers.close(socket, code);
    };
    ws.on('message', (data: Buffer, isBinary: boolean) => {
      socket.alive = true;
      if (socket.open) this.#handlers.message(socket, data, isBinary);
    });
    ws.on('pong', () => (socket.alive = true));
    ws.on('error', () => undefined); // a close event follows
    socket.onEnded = closed;
    ws.on('close', (code) => {
      this.#sockets.delete(socket);
      closed(code);
    });
    stream.on('drain', () => {
      if (socket.open) this.#handlers.drain(socket);
    });
    this.#handlers.open(socket, caller);
  }

  #ping(): void {
    for (const socket of this.#sockets) {
      if (!socket.alive) socket.ws.terminate();
      else {
        socket.alive = false;
        if (socket.open) socket.ws.ping();
      }
    }
  }
}

export const wsEngine: SocketEngine = {
  name: 'ws',
  create: (options, handlers) => new WsServer(options, handlers),
};
