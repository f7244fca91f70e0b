/** A TCP proxy before Postgres that counts the statements that go through it: what a process really asks, whoever asks it. */
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';

export interface CountingProxy {
  /** The database's URL by way of the proxy. */
  readonly url: string;
  /** Statements so far. */
  readonly statements: number;
  stop(): Promise<void>;
}

/** https://www.postgresql.org/docs/current/protocol-message-formats.html: a statement is a Query or an Execute. */
const STATEMENTS = new Set(['Q'.charCodeAt(0), 'E'.charCodeAt(0)]);
const HEAD_BYTES = 5;

/** Walks over the messages of one connection. @returns takes what the client sent next, and tells how many statements began in it */
function walker(): (chunk: Buffer) => number {
  let head: Buffer = Buffer.alloc(0);
  /** Bytes of the message under way that are still to come. */
  let left = 0;
  let started = false;
  return (chunk) => {
    let statements = 0;
    for (let at = 0; at < chunk.length;) {
      if (left > 0) {
        const taken = Math.min(left, chunk.length - at);
        left -= taken;
        at += taken;
        continue;
      }
      // The first message has a length and no type.
      const size = started ? HEAD_BYTES : HEAD_BYTES - 1;
      const missing = size - head.length;
      head = Buffer.concat([head, chunk.subarray(at, at + missing)]);
      at += missing;
      if (head.length < size) return statements;
      left = head.readInt32BE(size - 4) - 4;
      if (started && STATEMENTS.has(head[0] ?? 0)) statements++;
      started = true;
      head = Buffer.alloc(0);
    }
    return statements;
  };
}

export async function startCountingProxy(databaseUrl: string): Promise<CountingProxy> {
  const target = new URL(databaseUrl);
  const sockets = new Set<Socket>();
  let statements = 0;
  const server = createServer({ noDelay: true }, (client) => {
    const upstream = connect({ port: Number(target.port), host: target.hostname, noDelay: true });
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on('error', () => socket.destroy());
      socket.on('close', () => {
        sockets.delete(socket);
        client.destroy();
        upstream.destroy();
      });
    }
    const walk = walker();
    client.on('data', (chunk) => (statements += walk(chunk)));
    client.pipe(upstream);
    upstream.pipe(client);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = new URL(databaseUrl);
  url.hostname = '127.0.0.1';
  url.port = String((server.address() as AddressInfo).port); // a TCP server's address is never a string
  return {
    url: url.href,
    get statements() {
      return statements;
    },
    stop: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}
