/**
 * The part of the socket port for answers that go on: a 200 whose body is written bit by bit, to a client that may read
 * slowly or go away. Both engines have it, for `GET /realtime/sse`.
 */
import type { SendResult } from './port.js';

export interface ByteStream {
  /** Address of the peer, as text. */
  readonly remoteAddress: string;
  /** False once the close handler ran; then nothing below does anything. */
  readonly open: boolean;
  /** @param bytes kept until they have left: not to be changed. Several streams may be given the same. */
  write(bytes: Uint8Array): SendResult;
  /** Bytes that wait for the client to read, about; 0 when closed. */
  bufferedAmount(): number;
  /** Several writes of `work` leave together where the engine can do that. */
  cork(work: () => void): void;
  /** Ends the answer after what was written; the close handler runs at once. */
  end(): void;
  /** Cuts the connection, whatever waits; the close handler runs at once. */
  cut(): void;
}

export interface StreamHandlers {
  /** What was buffered went out, or some of it. Never called within `write`. */
  drain(): void;
  /** The client went away, or the answer was ended. Called once. */
  close(): void;
}

/** 200, and then whatever is written. */
export interface StreamAnswer {
  readonly headers: Readonly<Record<string, string>>;
  /** The answer has begun. @returns who is told what becomes of it */
  open(stream: ByteStream): StreamHandlers;
}

/** How long a client may take to read what was left when its answer ended, before it is cut off. */
export const END_GRACE_MS = 5_000;
