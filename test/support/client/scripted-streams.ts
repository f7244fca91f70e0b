/** The server’s end of the client’s event streams, in a test’s hands. */
import type { ServerFrame } from '../../../src/protocol/frames.js';

class ScriptedStream {
  readonly url: URL;
  readonly headers: Headers;
  readonly signal: AbortSignal;
  readonly answer: Promise<Response>;
  #respond: (response: Response) => void = () => undefined;
  #fail: (error: Error) => void = () => undefined;
  #body: ReadableStreamDefaultController<Uint8Array> | undefined;

  constructor(url: string, { headers, signal }: RequestInit) {
    this.url = new URL(url);
    this.headers = new Headers(headers);
    this.signal = signal ?? new AbortController().signal;
    this.answer = new Promise((resolve, reject) => {
      this.#respond = resolve;
      this.#fail = reject;
    });
    this.signal.addEventListener('abort', () => {
      this.#fail(this.signal.reason);
      this.#body?.error(this.signal.reason);
      this.#body = undefined;
    });
  }

  /** The parameters that were asked for. */
  get asked(): Record<string, string> {
    return Object.fromEntries(this.url.searchParams);
  }

  /** Begins it, with `welcome`. */
  accept(): this {
    const body = new ReadableStream<Uint8Array>({
      start: (controller) => {
        this.#body = controller;
      },
    });
    this.#respond(new Response(body, { headers: { 'content-type': 'text/event-stream; charset=utf-8' } }));
    return this.say({
      t: 'welcome',
      session: 's',
      heartbeatMs: 15_000,
      limits: { maxSubscriptions: 128, maxFrameBytes: 16_384, maxSnapshotRows: 10_000 },
    });
  }

  /** @param id of the event, where it has one */
  say(frame: ServerFrame, id?: string): this {
    const lines = [
      `event: ${frame.t}`,
      ...(id === undefined ? [] : [`id: ${id}`]),
      `data: ${JSON.stringify(frame)}`,
    ];
    return this.write(`${lines.join('\n')}\n\n`);
  }

  /** Bytes as they come. */
  write(text: string): this {
    this.#body?.enqueue(new TextEncoder().encode(text));
    return this;
  }

  /** Answers with something that is no stream. */
  refuse(status: number, body: unknown, headers: Readonly<Record<string, string>> = {}): void {
    this.#respond(new Response(typeof body === 'string' ? body : JSON.stringify(body), { status, headers }));
  }

  /** The server has said everything. */
  end(): void {
    this.#body?.close();
    this.#body = undefined;
  }

  /** The network is gone. */
  cut(): void {
    this.#fail(new TypeError('fetch failed'));
    this.#body?.error(new TypeError('terminated'));
    this.#body = undefined;
  }
}

export interface Streams {
  readonly fetch: typeof fetch;
  /** Every stream that was asked for. */
  readonly all: readonly ScriptedStream[];
  /** The last one. @throws Error when there is none */
  last(): ScriptedStream;
}

export function scriptedStreams(): Streams {
  const all: ScriptedStream[] = [];
  return {
    all,
    fetch: (url, init = {}) => {
      const stream = new ScriptedStream(String(url), init);
      all.push(stream);
      return stream.answer;
    },
    last() {
      const last = all.at(-1);
      if (!last) throw new Error('no stream was asked for');
      return last;
    },
  };
}
