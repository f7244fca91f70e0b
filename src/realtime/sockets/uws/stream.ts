/**
 * An answer that goes on, on uWebSockets.js. Its own buffer has no bound and cannot be looked into, so it is given one
 * chunk at a time once a client reads slowly; the rest waits here, where it is counted. What it wants respected: writes are
 * corked; with a writable handler it drains nothing by itself, so that the handler must write something; an ended or
 * aborted response must not be touched. A client that reads nothing for about 10 s is cut off by the library.
 */
import type { HttpResponse } from 'uWebSockets.js';
import type { ByteStream, StreamHandlers } from '../byte-stream.js';
import type { SendResult } from '../port.js';

/** A comment of server-sent events: what is buffered goes out with it. */
const NUDGE = Buffer.from(':\n\n');

export class UwsStream implements ByteStream {
  readonly remoteAddress: string;
  readonly #limit: number;
  #response: HttpResponse | undefined;
  #handlers: StreamHandlers | undefined;
  readonly #queue: Uint8Array[] = [];
  #queued = 0;
  /** Bytes of the chunk that the library could not send whole; 0 when it takes more. */
  #stuck = 0;

  /** @param limit above so many bytes buffered, what is written is dropped */
  constructor(response: HttpResponse, remoteAddress: string, limit: number) {
    this.#response = response;
    this.remoteAddress = remoteAddress;
    this.#limit = limit;
  }

  /** Status and headers go out, and the client is listened to. */
  begin(headers: Readonly<Record<string, string>>): void {
    const response = this.#response;
    if (!response) return;
    response.cork(() => {
      response.writeStatus('200 OK');
      for (const [name, value] of Object.entries(headers)) response.writeHeader(name, value);
      response.write(NUDGE);
    });
    response.onWritable(() => this.#writable());
  }

  /** What became of it meanwhile is told at once. */
  listen(handlers: StreamHandlers): void {
    this.#handlers = handlers;
    if (!this.open) handlers.close();
  }

  get open(): boolean {
    return this.#response !== undefined;
  }

  write(bytes: Uint8Array): SendResult {
    if (!this.#response || this.bufferedAmount() > this.#limit) return 'dropped';
    if (this.#stuck === 0) return this.#put(bytes) ? 'sent' : 'buffered';
    this.#queue.push(bytes);
    this.#queued += bytes.byteLength;
    return 'buffered';
  }

  bufferedAmount(): number {
    return this.#response ? this.#stuck + this.#queued : 0;
  }

  cork(work: () => void): void {
    if (this.#response) this.#response.cork(work);
    else work();
  }

  end(): void {
    const response = this.#response;
    if (!response) return;
    response.cork(() => {
      for (const bytes of this.#queue) response.write(bytes);
      response.end();
    });
    this.closed();
  }

  cut(): void {
    this.#response?.close();
    this.closed();
  }

  /** The response is over: from here on it must not be touched. */
  closed(): void {
    if (!this.#response) return;
    this.#response = undefined;
    this.#queue.length = 0;
    this.#handlers?.close();
  }

  /** @returns false when the library could not send all of it: it keeps the rest */
  #put(bytes: Uint8Array): boolean {
    let whole = true;
    this.#response?.cork(() => (whole = this.#response?.write(bytes) ?? true));
    this.#stuck = whole ? 0 : bytes.byteLength;
    return whole;
  }

  #writable(): boolean {
    // Something must be written in any case, or what the library keeps would stay there.
    if (!this.#put(this.#next() ?? NUDGE)) return false;
    for (let bytes = this.#next(); bytes; bytes = this.#next()) if (!this.#put(bytes)) return false;
    setImmediate(() => {
      if (this.#response) this.#handlers?.drain();
    });
    return true;
  }

  #next(): Uint8Array | undefined {
    const bytes = this.#queue.shift();
    if (bytes) this.#queued -= bytes.byteLength;
    return bytes;
  }
}
