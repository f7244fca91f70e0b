/** Clients that mean harm, or were written badly: bytes that are no HTTP, upgrades that are none, frames that no library would send. */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

type Below = (below: number) => number;

const KEY = 'dGhlIHNhbXBsZSBub25jZQ==';
/** So long an attacker waits for what comes back, */
const PATIENCE_MS = 200;
/** and so long he listens in all: he may have subscribed to what never ends. */
const LONGEST_MS = 1_000;

const upgrade = (extra = ''): string =>
  `GET /realtime HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${KEY}\r\n${extra}\r\n`;

interface Frame {
  readonly opcode: number;
  readonly payload: Buffer;
  readonly fin?: boolean;
  readonly rsv?: number;
  readonly masked?: boolean;
  /** What the header says, if not the truth. */
  readonly says?: bigint;
}

/** RFC 6455 §5.2, and what it forbids. */
function encode({ opcode, payload, fin = true, rsv = 0, masked = true, says }: Frame): Buffer {
  const length = says ?? BigInt(payload.length);
  const first = (fin ? 0x80 : 0) | (rsv << 4) | opcode;
  const mask = masked ? 0x80 : 0;
  let head: Buffer;
  if (length < 126n) head = Buffer.from([first, mask | Number(length)]);
  else if (length < 65_536n) {
    head = Buffer.from([first, mask | 126, 0, 0]);
    head.writeUInt16BE(Number(length), 2);
  } else {
    head = Buffer.alloc(10);
    head[0] = first;
    head[1] = mask | 127;
    head.writeBigUInt64BE(length, 2);
  }
  // A mask of zeros leaves the payload as it is.
  return Buffer.concat([head, masked ? Buffer.alloc(4) : Buffer.alloc(0), payload]);
}

const text = (content: string): Buffer => encode({ opcode: 1, payload: Buffer.from(content) });

const VALID: readonly object[] = [
  { t: 'sub', id: 'a', view: 'order_summary' },
  { t: 'sub', id: 'b', view: 'order_summary', key: 'o-1' },
  { t: 'sub', id: 'c', view: 'order_summary', where: { customerId: 'c-1', status: 'paid' } },
  { t: 'sub', id: 'd', view: 'order_summary', from: { epoch: 'e', pos: [[0, 3]] } },
  { t: 'sub', id: 'e', view: 'order_summary', sort: '-placedAt', limit: 20 },
  { t: 'unsub', id: 'a' },
  { t: 'auth', token: 'eyJhbGciOiJub25lIn0.e30.' },
  { t: 'ping' },
];

const STRANGE: readonly unknown[] = [
  null,
  true,
  -1,
  1e308,
  2 ** 53,
  '',
  ' ',
  '\u0000',
  '\ud800',
  '__proto__',
  'constructor',
  'x'.repeat(5_000),
  [],
  [[]],
  [[0, -1]],
  [[99, 1]],
  {},
  { __proto__: { a: 1 } },
  { toString: 1 },
];

/** A valid frame of which one thing is not. */
function almost(below: Below): string {
  const frame: Record<string, unknown> = { ...VALID[below(VALID.length)] };
  const fields = [...Object.keys(frame), '__proto__', 'from', 'where', 'sort', 'limit', 'key', 'extra'];
  frame[fields[below(fields.length)] ?? 't'] = STRANGE[below(STRANGE.length)];
  return JSON.stringify(frame);
}

/** A valid frame with a few bytes changed, left out or put in. */
function garbled(below: Below): Buffer {
  const bytes = [...Buffer.from(JSON.stringify(VALID[below(VALID.length)]))];
  for (let turn = 0; turn <= below(4); turn++) bytes.splice(below(bytes.length), below(2), below(256));
  return Buffer.from(bytes);
}

const nested = (below: Below): string => {
  const depth = 1 + below(3_000);
  return below(2) === 0
    ? '['.repeat(depth)
    : `{"t":"sub","where":${'{"a":'.repeat(depth)}1${'}'.repeat(depth)}}`;
};

/** What is sent over a connection that was opened properly, frame by frame. */
const FRAMES: readonly ((below: Below) => readonly Buffer[])[] = [
  (below) => [text(almost(below))],
  (below) => [encode({ opcode: 1, payload: garbled(below) })],
  (below) => [text(nested(below))],
  (below) => [encode({ opcode: 2, payload: randomBytes(below(300)) })],
  (below) => [encode({ opcode: 1, payload: randomBytes(1 + below(300)) })],
  (below) => [text('x'.repeat(10_000 + below(20_000)))],
  // Far over the limit.
  () => [text('x'.repeat(100_000))],
  (below) => [encode({ opcode: 3 + below(5), payload: Buffer.from('reserved') })],
  (below) => [encode({ opcode: 1, rsv: 1 + below(7), payload: Buffer.from('{"t":"ping"}') })],
  () => [encode({ opcode: 1, masked: false, payload: Buffer.from('{"t":"ping"}') })],
  // A message that never ends, piece by piece, and one that is begun twice.
  (below) =>
    Array.from({ length: 1 + below(50) }, (_, n) =>
      encode({ opcode: n === 0 ? 1 : 0, fin: false, payload: Buffer.alloc(1_000, 97) }),
    ),
  () => [encode({ opcode: 1, fin: false, payload: Buffer.from('{"t":') }), text('{"t":"ping"}')],
  () => [encode({ opcode: 0, payload: Buffer.from('no beginning') })],
  (below) => [
    encode({
      opcode: 1,
      payload: Buffer.from('short'),
      says: [2n ** 63n, 2n ** 40n, 60_000n][below(3)] ?? 200n,
    }),
  ],
  (below) => [encode({ opcode: 9, payload: Buffer.alloc(below(300), 1) })],
  (below) => [encode({ opcode: 10, payload: Buffer.alloc(below(126), 1) })],
  (below) => [encode({ opcode: 8, payload: Buffer.from([below(256), below(256), 0xff, 0xfe]) })],
  // More than one may send at once.
  () => Array.from({ length: 1_500 }, () => text('{"t":"ping"}')),
  // Comes and goes as fast as it can.
  (below) =>
    Array.from({ length: 200 }, (_, n) =>
      text(
        JSON.stringify(
          n % 3 === 2
            ? { t: 'unsub', id: `s${n - 2}` }
            : {
                t: 'sub',
                id: `s${n}`,
                view: 'order_summary',
                ...(below(2) === 0 ? { key: `o-${below(50)}` } : {}),
              },
        ),
      ),
    ),
];

/** What is sent instead of an upgrade. */
const OPENINGS: readonly ((below: Below) => string | Buffer)[] = [
  (below) => randomBytes(1 + below(2_000)),
  () => 'GET /realtime HTTP/1.1\r\n',
  () => 'GET /realtime HTTP/9.9\r\n\r\n',
  () => upgrade().replace(KEY, ''),
  () => upgrade().replace('13', '99'),
  () => upgrade('Sec-WebSocket-Protocol: other.v1\r\n'),
  () => upgrade('Origin: https://evil.example\r\n'),
  () => upgrade().replace('Host: 127.0.0.1', 'Host: evil.example'),
  (below) => upgrade(`X-Long: ${'y'.repeat(below(200_000))}\r\n`),
  (below) => upgrade(Array.from({ length: below(300) }, (_, n) => `X-${n}: ${n}\r\n`).join('')),
  (below) => upgrade().replace('/realtime', `/realtime/sse?view=${'%'.repeat(below(50))}&where={`),
  () => upgrade().replace('GET', 'POST'),
  () => 'POST /realtime HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 99999999999\r\n\r\n',
  () => 'POST /realtime HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n',
];

/** Sends, and reads until the other side ends it or it has nothing to say. @returns what came */
async function exchange(socket: Socket, pieces: readonly (string | Buffer)[]): Promise<Buffer> {
  const came: Buffer[] = [];
  let quiet: NodeJS.Timeout | undefined;
  let enough: NodeJS.Timeout | undefined;
  const done = new Promise<void>((resolve) => {
    quiet = setTimeout(resolve, PATIENCE_MS);
    enough = setTimeout(resolve, LONGEST_MS);
    socket.on('close', resolve);
    socket.on('data', (chunk: Buffer) => {
      came.push(chunk);
      quiet?.refresh();
    });
  });
  for (const piece of pieces) if (socket.writable) socket.write(piece);
  await done;
  clearTimeout(quiet);
  clearTimeout(enough);
  return Buffer.concat(came);
}

/** One attack. @returns what the server said */
export async function attack(url: string, below: Below): Promise<string> {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  socket.on('error', () => undefined);
  await once(socket, 'connect').catch(() => undefined);
  const frames = (): readonly Buffer[] => FRAMES[below(FRAMES.length)]?.(below) ?? [];
  const open = below(5) > 0;
  const pieces = open
    ? [upgrade(), ...Array.from({ length: 1 + below(6) }, frames).flat()]
    : [OPENINGS[below(OPENINGS.length)]?.(below) ?? ''];
  const answer = await exchange(socket, pieces);
  if (below(3) === 0) socket.resetAndDestroy();
  else socket.destroy();
  return answer.toString('latin1');
}
