/**
 * The socket port on uWebSockets.js. What it wants respected: a closed socket throws when touched; a message's memory is
 * gone after the callback; nothing may be sent, published or subscribed inside its drain callback; headers are gone
 * after the upgrade callback; a socket that leaves its last topic loses what was published to it in the same turn.
 */
import { STATUS_CODES } from 'node:http';
import type { HttpRequest, HttpResponse, TemplatedApp, us_listen_socket, WebSocket } from 'uWebSockets.js';
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
import type { UwsLibrary } from './load.js';
import { UwsStream } from './stream.js';

interface UserData {
  socket: UwsSocket | undefined;
  readonly remoteAddress: string;
  readonly caller: Caller;
}

/** Every socket stays in this topic, so that it never leaves its last one. */
const ANCHOR = 'anchor';

class UwsSocket implements Socket {
  readonly remoteAddress: string;
  #ws: WebSocket<UserData> | undefined;

  constructor(ws: WebSocket<UserData>, remoteAddress: string) {
    this.#ws = ws;
    this.remoteAddress = remoteAddress;
    ws.subscribe(ANCHOR);
  }

  get open(): boolean {
    return this.#ws !== undefined;
  }

  send(text: string): SendResult {
    const status = this.#ws?.send(text, false, false);
    return status === 1 ? 'sent' : status === 0 ? 'buffered' : 'dropped';
  }

  bufferedAmount(): number {
    return this.#ws?.getBufferedAmount() ?? 0;
  }

  subscribe(topic: string): void {
    this.#ws?.subscribe(topic);
  }

  unsubscribe(topic: string): void {
    this.#ws?.unsubscribe(topic);
  }

  cork(work: () => void): void {
    if (this.#ws) this.#ws.cork(work);
    else work();
  }

  end(code: number, reason: string): void {
    this.#ws?.end(code, reason);
  }

  /** The close handler ran: from here on the native object must not be touched. */
  detach(): void {
    this.#ws = undefined;
  }
}

const header = (request: HttpRequest, name: string): string | undefined =>
  request.getHeader(name) || undefined;

/** All lines of a header: `getHeader` knows the first only, which is the client’s where a proxy adds one of its own. */
function lines(request: HttpRequest, wanted: string): string | undefined {
  if (request.getHeader(wanted) === '') return undefined;
  const found: string[] = [];
  request.forEach((name, value) => {
    if (name === wanted) found.push(value);
  });
  return found.join(', ');
}

const describe = (response: HttpResponse, request: HttpRequest, upgrade: boolean): SocketRequest => ({
  method: request.getMethod().toUpperCase(),
  path: request.getUrl(),
  // Undefined where there is none, whatever the types say.
  query: request.getQuery() || '',
  host: header(request, 'host'),
  origin: header(request, 'origin'),
  protocols: offeredProtocols(header(request, 'sec-websocket-protocol')),
  upgrade,
  remoteAddress: Buffer.from(response.getRemoteAddressAsText()).toString(),
  authorization: header(request, 'authorization'),
  cookie: header(request, 'cookie'),
  forwardedFor: lines(request, 'x-forwarded-for'),
  lastEventId: header(request, 'last-event-id'),
});

function answer(response: HttpResponse, refusal: Refusal): void {
  response.cork(() => {
    response.writeStatus(`${refusal.status} ${STATUS_CODES[refusal.status] ?? ''}`);
    for (const [name, value] of Object.entries(refusal.headers)) response.writeHeader(name, value);
    response.end(refusal.body, true);
  });
}

/** The answer, at once or when it is known; the request is gone by then, and its client may be. */
function respond(
  response: HttpResponse,
  remoteAddress: string,
  given: Answer | Promise<Answer>,
  { maxBackpressureBytes }: SocketServerOptions,
): void {
  const stream = new UwsStream(response, remoteAddress, maxBackpressureBytes);
  response.onAborted(() => stream.closed());
  const give = (known: Answer): void => {
    if (!stream.open) return;
    if ('status' in known) return answer(response, known);
    stream.begin(known.headers);
    stream.listen(known.open(stream));
  };
  if (given instanceof Promise) void given.then(give);
  else give(given);
}

class UwsServer implements SocketServer {
  readonly engine = 'uws';
  readonly #library: UwsLibrary;
  readonly #app: TemplatedApp;
  #listening: us_listen_socket | undefined;
  #closed = false;

  constructor(library: UwsLibrary, options: SocketServerOptions, handlers: SocketHandlers) {
    this.#library = library;
    this.#app = library.App();
    this.#app.ws<UserData>('/*', {
      compression: library.DISABLED,
      maxPayloadLength: options.maxPayloadBytes,
      maxBackpressure: options.maxBackpressureBytes,
      idleTimeout: options.idleTimeoutSeconds,
      sendPingsAutomatically: true,
      upgrade: (response, request, context) => {
        const described = describe(response, request, true);
        const decision = handlers.upgrade(described);
        if ('status' in decision) return answer(response, decision);
        const { caller } = decision;
        response.upgrade<UserData>(
          { socket: undefined, remoteAddress: described.remoteAddress, caller },
          request.getHeader('sec-websocket-key'),
          decision.protocol ?? '',
          '',
          context,
        );
      },
      open: (ws) => {
        const data = ws.getUserData();
        data.socket = new UwsSocket(ws, data.remoteAddress);
        handlers.open(data.socket, data.caller);
      },
      message: (ws, message, isBinary) => {
        const { socket } = ws.getUserData();
        if (socket) handlers.message(socket, new Uint8Array(message), isBinary);
      },
      drain: (ws) => {
        const { socket } = ws.getUserData();
        setImmediate(() => {
          if (socket?.open) handlers.drain(socket);
        });
      },
      close: (ws, code) => {
        const { socket } = ws.getUserData();
        socket?.detach();
        if (socket) handlers.close(socket, code);
      },
    });
    this.#app.any('/*', (response, request) => {
      const described = describe(response, request, false);
      respond(response, described.remoteAddress, handlers.request(described), options);
    });
  }

  async listen(host: string, port: number): Promise<number> {
    const token = await new Promise<us_listen_socket | false>((resolve) => {
      // Without the option two processes would share the port, and each would get some of the clients.
      const exclusive = LISTEN_EXCLUSIVE;
      const app = this.#app as unknown as ListenWithOptions; // the types lack the form with host and options
      app.listen(host, port, exclusive, resolve);
    });
    if (!token) throw await listenFailure(host, port);
    this.#listening = token;
    return this.#library.us_socket_local_port(token);
  }

  publish(topic: string, text: string): number {
    const count = this.#app.numSubscribers(topic);
    if (count > 0) this.#app.publish(topic, text, false, false);
    return count;
  }

  stopListening(): void {
    if (this.#listening) this.#library.us_listen_socket_close(this.#listening);
    this.#listening = undefined;
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.stopListening();
    (this.#app as unknown as { close(): void }).close(); // the types of this build lack it
  }
}

const LISTEN_EXCLUSIVE = 1;
interface ListenWithOptions {
  listen(
    host: string,
    port: number,
    options: number,
    listening: (token: us_listen_socket | false) => void,
  ): void;
}

/** @param library what `loadUws` found */
export const uwsEngine = (library: UwsLibrary): SocketEngine => ({
  name: 'uws',
  create: (options, handlers) => new UwsServer(library, options, handlers),
});
