/** HTTP over a bare socket: sends what no client library would, and reads the answer as it came. */
import { connect } from 'node:net';

export interface RawAnswer {
  readonly status: number;
  /** By lower-case name. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

function parse(text: string): RawAnswer {
  const [head = '', ...rest] = text.split('\r\n\r\n');
  const [statusLine = '', ...lines] = head.split('\r\n');
  const headers = Object.fromEntries(
    lines.map((line): [string, string] => {
      const colon = line.indexOf(':');
      return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
    }),
  );
  return { status: Number(statusLine.split(' ')[1]), headers, body: rest.join('\r\n\r\n') };
}

/** Sends the bytes, and resolves with the answer when the server closes the connection. */
export function sendRaw(port: number, bytes: string | Buffer): Promise<RawAnswer> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1');
    const pieces: Buffer[] = [];
    socket.on('data', (piece: Buffer) => pieces.push(piece));
    // The server may close before it has read all that is sent; what it answered counts.
    socket.on('error', (error) => pieces.length === 0 && reject(error));
    socket.on('close', () => resolve(parse(Buffer.concat(pieces).toString('utf8'))));
    socket.write(bytes);
  });
}

/** A whole request with `Host` and `Connection: close`. */
export function request(
  port: number,
  method: string,
  target: string,
  options: {
    readonly headers?: readonly string[];
    readonly body?: string | Buffer;
    readonly host?: string;
  } = {},
): Promise<RawAnswer> {
  const body = Buffer.from(options.body ?? '');
  const lines = [
    `${method} ${target} HTTP/1.1`,
    `Host: ${options.host ?? `localhost:${port}`}`,
    'Connection: close',
    ...(options.headers ?? []),
    ...(options.body === undefined ? [] : [`Content-Length: ${body.length}`]),
  ];
  return sendRaw(port, Buffer.concat([Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1'), body]));
}
