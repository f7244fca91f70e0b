/**
 * A client of server-sent events for tests, which reads them as the HTML standard says (§9.2.6); waiting is for what comes,
 * never for time.
 */
import { get, type IncomingMessage } from 'node:http';

export interface ServerEvent {
  readonly event: string;
  readonly data: string;
  /** The last event id after this event; empty: none. */
  readonly id: string;
}

export interface OpenOptions {
  readonly headers?: Readonly<Record<string, string>>;
  /** What a browser that comes back had last; sent along unless it is empty. */
  readonly lastEventId?: string;
}

/** What came instead of a stream. */
export class NoStream extends Error {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;

  constructor(status: number, headers: IncomingMessage['headers'], body: string) {
    super(`answered ${status}: ${body}`);
    this.status = status;
    this.headers = headers;
    this.body = body;
  }
}

export class EventClient {
  readonly headers: IncomingMessage['headers'];
  readonly events: ServerEvent[] = [];
  /** Resolves when the stream ends, by its end or cut off; false when it was cut off. */
  readonly ended: Promise<boolean>;
  /** As a browser keeps it. */
  lastEventId: string;
  retryMs: number | undefined;
  bytes = 0;
  readonly #response: IncomingMessage;
  readonly #waiting = new Set<() => void>();
  #over = false;
  #rest = '';
  #event = '';
  #id: string | undefined;
  #data: string[] = [];

  private constructor(response: IncomingMessage, lastEventId: string) {
    this.lastEventId = lastEventId;
    this.#response = response;
    this.headers = response.headers;
    response.setEncoding('utf8');
    response.on('data', (chunk: string) => this.#take(chunk));
    response.on('error', () => undefined);
    this.ended = new Promise((resolve) =>
      response.on('close', () => {
        this.#over = true;
        resolve(response.complete);
        this.#wake();
      }),
    );
  }

  /** @throws NoStream when the answer is not 200 */
  static open(url: string, { headers = {}, lastEventId = '' }: OpenOptions = {}): Promise<EventClient> {
    return new Promise((resolve, reject) => {
      const place = lastEventId === '' ? {} : { 'last-event-id': lastEventId };
      const all = { accept: 'text/event-stream', ...headers, ...place };
      const request = get(url, { headers: all, agent: false });
      request.once('error', reject);
      request.once('response', (response) => {
        if (response.statusCode === 200) return resolve(new EventClient(response, lastEventId));
        let body = '';
        response.setEncoding('utf8').on('data', (chunk: string) => (body += chunk));
        response.on('end', () => reject(new NoStream(response.statusCode ?? 0, response.headers, body)));
      });
    });
  }

  /** Resolves when `done` gives something. @throws Error when the stream ends first */
  async until<T>(done: () => T | undefined): Promise<T> {
    for (;;) {
      const found = done();
      if (found !== undefined) return found;
      if (this.#over) throw new Error(`ended after ${JSON.stringify(this.events.slice(-3)).slice(-2_000)}`);
      await new Promise<void>((resolve) => this.#waiting.add(resolve));
    }
  }

  /** The next event of a name, after the `after` events that came already. */
  next(event: string, after = 0): Promise<ServerEvent> {
    return this.until(() => this.events.slice(after).find((one) => one.event === event));
  }

  /** Nothing is read from the connection. */
  pause(): void {
    this.#response.pause();
  }

  resume(): void {
    this.#response.resume();
  }

  close(): void {
    this.#response.destroy();
  }

  #take(chunk: string): void {
    this.bytes += Buffer.byteLength(chunk);
    const lines = (this.#rest + chunk).split('\n');
    this.#rest = lines.pop() ?? '';
    for (const line of lines) this.#line(line);
    this.#wake();
  }

  #line(line: string): void {
    if (line === '') return this.#dispatch();
    const colon = line.indexOf(':');
    if (colon === 0) return;
    const name = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '');
    if (name === 'event') this.#event = value;
    else if (name === 'data') this.#data.push(value);
    else if (name === 'id') this.#id = value;
    else if (name === 'retry' && /^\d+$/.test(value)) this.retryMs = Number(value);
    else throw new Error(`no line of an event stream: ${line.slice(0, 100)}`);
  }

  #dispatch(): void {
    this.lastEventId = this.#id ?? this.lastEventId;
    if (this.#data.length > 0)
      this.events.push({
        event: this.#event || 'message',
        data: this.#data.join('\n'),
        id: this.lastEventId,
      });
    this.#data = [];
    this.#event = '';
  }

  #wake(): void {
    for (const wake of this.#waiting) wake();
    this.#waiting.clear();
  }
}
