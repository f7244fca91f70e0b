/**
 * The smallest WebSocket client that will do: it walks over frames without looking into what is only counted, reads into memory that
 * all share, and so takes as little of the machine as it can from the server that is measured.
 */
import { connect, type Socket } from 'node:net';

const OPCODE_TEXT = 1;
const OPCODE_CLOSE = 8;
const OPCODE_PING = 9;
/** Longest head of a server's frame, and enough of its content to tell what it is. */
const HEAD_BYTES = 10;
const TELLING_BYTES = 7;
/** Read at once at the most; one memory for all sockets, as what was read is gone through before the next read. */
const shared = Buffer.allocUnsafe(1024 * 1024);
const EMPTY = Buffer.alloc(0);
/** `{"t":"chg"`: the letter that tells; an event of Socket.IO begins with 42. */
const AT_TYPE = 6;
const CHANGE = 'c'.charCodeAt(0);
const SNAPSHOT = 's'.charCodeAt(0);
const SOCKET_IO_EVENT = ['4', '2'].map((letter) => letter.charCodeAt(0));

export interface RawSocketHandlers {
  opened(socket: RawSocket): void;
  /** Frames with changes, so many at once. */
  counted(frames: number): void;
  /** Any other text but a snapshot's. */
  text(socket: RawSocket, text: string): void;
  closed(socket: RawSocket): void;
}

/** A client's frame; masked with zeros, which leaves it as it is. */
function frame(opcode: number, payload: Buffer): Buffer {
  const short = payload.length < 126;
  const head = Buffer.alloc(short ? 6 : 8);
  head[0] = 0x80 | opcode;
  head[1] = 0x80 | (short ? payload.length : 126);
  if (!short) head.writeUInt16BE(payload.length, 2);
  return Buffer.concat([head, payload]);
}

export interface RawSocketPlace {
  readonly port: number;
  readonly path: string;
  readonly protocol?: string | undefined;
}

export class RawSocket {
  readonly index: number;
  readonly #handlers: RawSocketHandlers;
  readonly #socket: Socket;
  #isOpen = false;
  /** The beginning of what is not complete yet: the answer to the upgrade, or the head of a frame. */
  #head: Buffer = EMPTY;
  /** Bytes of the frame under way that are still to come. */
  #left = 0;
  #kind: 'kept' | 'counted' | 'passed over' = 'kept';
  /** What came of the frame under way, where it is kept. */
  #kept: Buffer[] = [];
  #opcode = 0;

  constructor(index: number, { port, path, protocol }: RawSocketPlace, handlers: RawSocketHandlers) {
    this.index = index;
    this.#handlers = handlers;
    this.#socket = connect({
      host: '127.0.0.1',
      port,
      noDelay: true,
      onread: {
        buffer: shared,
        callback: (length: number) => {
          this.#read(shared.subarray(0, length));
          return true;
        },
      },
    });
    this.#socket.on('error', () => undefined); // `close` follows
    this.#socket.on('close', () => handlers.closed(this));
    this.#socket.write(
      `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
        'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n' +
        `${protocol === undefined ? '' : `Sec-WebSocket-Protocol: ${protocol}\r\n`}\r\n`,
    );
  }

  send(text: string): void {
    this.#socket.write(frame(OPCODE_TEXT, Buffer.from(text)));
  }

  destroy(): void {
    this.#socket.destroy();
  }

  #read(chunk: Buffer): void {
    let rest = chunk;
    if (!this.#isOpen) {
      const all = Buffer.concat([this.#head, chunk]);
      const end = all.indexOf('\r\n\r\n');
      this.#head = end < 0 ? all : EMPTY;
      if (end < 0) return;
      if (!all.subarray(0, 12).equals(Buffer.from('HTTP/1.1 101'))) {
        this.#socket.destroy();
        return;
      }
      this.#isOpen = true;
      this.#handlers.opened(this);
      rest = all.subarray(end + 4);
    }
    const counted = this.#frames(rest);
    if (counted > 0) this.#handlers.counted(counted);
  }

  /** @returns how many frames with changes ended in it */
  #frames(chunk: Buffer): number {
    let at = 0;
    let counted = 0;
    while (at < chunk.length) {
      if (this.#left === 0) {
        const begun = this.#begin(chunk, at);
        if (begun < 0) return counted;
        at = begun;
        if (this.#left === 0) this.#end(EMPTY);
        if (this.#left === 0) continue;
      }
      const taken = Math.min(this.#left, chunk.length - at);
      // The memory is used again for the next read.
      if (this.#kind === 'kept') this.#kept.push(Buffer.from(chunk.subarray(at, at + taken)));
      at += taken;
      this.#left -= taken;
      if (this.#left > 0) continue;
      if (this.#kind === 'kept') this.#end(Buffer.concat(this.#kept));
      else if (this.#kind === 'counted') counted++;
    }
    return counted;
  }

  /** @returns where the content begins; -1 when more must come before that is known */
  #begin(chunk: Buffer, from: number): number {
    let head = chunk;
    let at = from;
    let borrowed = 0;
    if (this.#head.length > 0) {
      borrowed = this.#head.length;
      head = Buffer.concat([this.#head, chunk.subarray(from, from + HEAD_BYTES + TELLING_BYTES)]);
      at = 0;
    }
    const short = (head[at + 1] ?? 0) & 0x7f;
    const size = short < 126 ? 2 : short === 126 ? 4 : 10;
    const has = head.length - at;
    if (has < size) return this.#wait(head, at);
    const length =
      short < 126 ? short : short === 126 ? head.readUInt16BE(at + 2) : Number(head.readBigUInt64BE(at + 2));
    if (has < size + Math.min(length, TELLING_BYTES)) return this.#wait(head, at);
    this.#opcode = (head[at] ?? 0) & 0x0f;
    this.#left = length;
    this.#kind = this.#kindOf(head, at + size, length);
    this.#kept = [];
    this.#head = EMPTY;
    if (borrowed === 0) return at + size;
    // Of the borrowed bytes those after the head belong to the content.
    const early = Math.max(0, borrowed - size);
    if (this.#kind === 'kept') this.#kept.push(Buffer.from(head.subarray(size, size + early)));
    this.#left -= early;
    return from + Math.max(0, size - borrowed);
  }

  #wait(head: Buffer, at: number): -1 {
    this.#head = Buffer.from(head.subarray(at));
    return -1;
  }

  #kindOf(head: Buffer, at: number, length: number): 'kept' | 'counted' | 'passed over' {
    if (this.#opcode !== OPCODE_TEXT || length < TELLING_BYTES) return 'kept';
    if (head[at] === SOCKET_IO_EVENT[0] && head[at + 1] === SOCKET_IO_EVENT[1]) return 'counted';
    if (head[at + AT_TYPE] === CHANGE) return 'counted';
    return head[at + AT_TYPE] === SNAPSHOT ? 'passed over' : 'kept';
  }

  #end(content: Buffer): void {
    this.#kept = [];
    if (this.#opcode === OPCODE_PING) this.#socket.write(frame(10, content));
    else if (this.#opcode === OPCODE_CLOSE) this.#socket.destroy();
    else this.#handlers.text(this, content.toString());
  }
}
