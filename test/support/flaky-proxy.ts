/** A TCP proxy before Postgres that can lose answers and refuse connections: what a broken network does. */
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';

type ProxyMode =
  | 'pass'
  /** What the server answers is swallowed and the client's connection dies; the server has done its work. */
  | 'lose-answers'
  | 'refuse';

export interface FlakyProxy {
  /** The database's URL by way of the proxy. */
  readonly url: string;
  mode: ProxyMode;
  stop(): Promise<void>;
}

export async function startFlakyProxy(databaseUrl: string): Promise<FlakyProxy> {
  const target = new URL(databaseUrl);
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    if (proxy.mode !== 'pass') {
      client.destroy();
      return;
    }
    const upstream = connect(Number(target.port), target.hostname);
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on('error', () => socket.destroy());
      socket.on('close', () => sockets.delete(socket));
    }
    client.on('data', (chunk) => upstream.write(chunk));
    upstream.on('data', (chunk) => {
      if (proxy.mode === 'pass') client.write(chunk);
      else client.destroy();
    });
    client.on('close', () => upstream.end());
    upstream.on('close', () => client.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = new URL(databaseUrl);
  url.hostname = '127.0.0.1';
  url.port = String((server.address() as AddressInfo).port); // a TCP server's address is never a string
  const proxy: FlakyProxy = {
    url: url.href,
    mode: 'pass',
    stop: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
  return proxy;
}
