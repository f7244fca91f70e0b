/** An answer that goes on, on Node's own HTTP server. */
import type { ServerResponse } from 'node:http';
import { END_GRACE_MS, type ByteStream, type StreamHandlers } from '../byte-stream.js';
import type { SendResult } from '../port.js';

export class NodeStream implements ByteStream {
  readonly remoteAddress: string;
  readonly #response: ServerResponse;
  readonly #limit: number;
  #handlers: StreamHandlers | undefined;
  #open = true;

  /** @param limit above so many bytes buffered, what is written is dropped */
  constructor(response: ServerResponse, remoteAddress: string, limit: number) {
    this.#response = response;
    this.remoteAddress = remoteAddress;
    this.#limit = limit;
  }

  /** Status and headers go out, and the client is listened to. */
  begin(headers: Readonly<Record<string, string>>): void {
    this.#response.on('error', () => undefined); // a close event follows
    this.#response.on('close', () => this.#closed());
    this.#response.on('drain', () => {
      if (this.#open) this.#handlers?.drain();
    });
    this.#response.writeHead(200, headers).flushHeaders();
  }

  /** What became of it meanwhile is told at once. */
  listen(handlers: StreamHandlers): void {
    this.#handlers = handlers;
    if (!this.open) handlers.close();
  }

  get open(): boolean {
    return this.#open;
  }

  write(bytes: Uint8Array): SendResult {
    if (!this.#open || this.bufferedAmount() > this.#limit) return 'dropped';
    return this.#response.write(bytes) ? 'sent' : 'buffered';
  }

  bufferedAmount(): number {
    return this.#open ? this.#response.writableLength : 0;
  }

  cork(work: () => void): void {
    work();
  }

  end(): void {
    if (!this.#open) return;
    const cut = setTimeout(() => this.#response.destroy(), END_GRACE_MS);
    this.#response.once('close', () => clearTimeout(cut));
    this.#response.end();
    this.#closed();
  }

  cut(): void {
    if (!this.#open) return;
    this.#response.destroy();
    this.#closed();
  }

  #closed(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#handlers?.close();
  }
}
