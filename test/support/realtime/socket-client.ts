/** A WebSocket client for tests: what came is kept, and waiting is for what comes, never for time. */
import { WebSocket } from 'ws';

export interface ConnectOptions {
  readonly protocols?: readonly string[];
  readonly headers?: Readonly<Record<string, string>>;
}

export interface Closed {
  readonly code: number;
  readonly reason: string;
}

export class SocketClient {
  readonly ws: WebSocket;
  readonly received: string[] = [];
  readonly closed: Promise<Closed>;
  #ended: Closed | undefined;
  readonly #waiting = new Set<() => void>();

  private constructor(ws: WebSocket) {
    this.ws = ws;
    ws.on('message', (data: Buffer) => {
      this.received.push(data.toString());
      this.#wake();
    });
    ws.on('error', () => undefined);
    this.closed = new Promise((resolve) =>
      ws.on('close', (code, reason) => {
        this.#ended = { code, reason: reason.toString() };
        resolve(this.#ended);
        this.#wake();
      }),
    );
  }

  /** @throws Error with the answer’s status and body when the upgrade is refused */
  static connect(url: string, options: ConnectOptions = {}): Promise<SocketClient> {
    const ws = new WebSocket(url, [...(options.protocols ?? [])], {
      headers: options.headers ?? {},
      perMessageDeflate: false,
    });
    const client = new SocketClient(ws);
    return new Promise((resolve, reject) => {
      ws.once('open', () => resolve(client));
      ws.once('error', reject);
      ws.once('unexpected-response', (_request, response) => {
        let body = '';
        response.on('data', (chunk: Buffer) => (body += chunk.toString()));
        response.on('end', () =>
          reject(
            new Refused(
              response.statusCode ?? 0,
              response.headers['content-type'] ?? '',
              body,
              response.headers['retry-after'],
            ),
          ),
        );
      });
    });
  }

  /** Resolves when `done` gives something. @throws Error when the socket closes first, with what came */
  async until<T>(done: (received: readonly string[]) => T | undefined): Promise<T> {
    for (;;) {
      const found = done(this.received);
      if (found !== undefined) return found;
      if (this.#ended)
        throw new Error(
          `closed with ${this.#ended.code} ${this.#ended.reason} after ${this.received.slice(-5).join(' ').slice(-2_000)}`,
        );
      await new Promise<void>((resolve) => this.#waiting.add(resolve));
    }
  }

  /** Resolves when so many messages have come. */
  count(messages: number): Promise<readonly string[]> {
    return this.until((received) => (received.length >= messages ? received : undefined));
  }

  send(message: unknown): void {
    this.ws.send(typeof message === 'string' || Buffer.isBuffer(message) ? message : JSON.stringify(message));
  }

  /** The client’s process stands still: nothing is read from the connection. */
  pause(): void {
    this.ws.pause();
  }

  resume(): void {
    this.ws.resume();
  }

  async end(): Promise<void> {
    this.ws.terminate();
    await this.closed;
  }

  #wake(): void {
    for (const wake of this.#waiting) wake();
    this.#waiting.clear();
  }
}

export class Refused extends Error {
  readonly status: number;
  readonly contentType: string;
  readonly body: string;
  readonly retryAfter: string | undefined;

  constructor(status: number, contentType: string, body: string, retryAfter: string | undefined) {
    super(`refused with ${status}: ${body}`);
    this.status = status;
    this.contentType = contentType;
    this.body = body;
    this.retryAfter = retryAfter;
  }
}
