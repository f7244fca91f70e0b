/**
 * A TCP proxy before the realtime socket that does what bad networks do: it delivers in pieces of any size, late, and cuts
 * connections with and without a goodbye, or lets them stand still first. What goes through stays in order, as TCP promises.
 */
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { randomFrom } from './random.js';

export interface RoughProxyOptions {
  readonly seed: number;
  /** Where it leads to; asked at each connection. */
  readonly target: () => { readonly host: string; readonly port: number };
  /** The next piece is held back for up to so long, ms. */
  readonly delayMs: number;
  /** A piece has up to so many bytes. */
  readonly pieceBytes: number;
}

export interface RoughProxy {
  readonly port: number;
  /** Delays and splits; without it everything goes through as it comes. */
  rough: boolean;
  /** Cuts about one connection in `of`, each in one of the ways in which connections end. @returns how many */
  cut(of: number): number;
  stop(): Promise<void>;
}

/** One direction: pieces in their order, one at a time. */
class Direction {
  readonly #to: Socket;
  readonly #options: RoughProxyOptions;
  readonly #below: (below: number) => number;
  readonly #isRough: () => boolean;
  readonly #from: Socket;
  readonly #waiting: Buffer[] = [];
  #busy = false;
  #still = false;

  constructor(
    from: Socket,
    to: Socket,
    options: RoughProxyOptions,
    below: (below: number) => number,
    isRough: () => boolean,
  ) {
    this.#from = from;
    this.#to = to;
    this.#options = options;
    this.#below = below;
    this.#isRough = isRough;
    from.on('data', (chunk) => {
      this.#waiting.push(chunk);
      this.#go();
    });
    from.on('end', () => to.end());
  }

  /** Nothing goes through any more; whoever sends is held up. */
  standStill(): void {
    this.#still = true;
    this.#from.pause();
  }

  #go(): void {
    if (this.#busy || this.#still) return;
    const chunk = this.#waiting.shift();
    if (!chunk) {
      this.#from.resume();
      return;
    }
    const { delayMs, pieceBytes } = this.#options;
    const size = this.#isRough() ? 1 + this.#below(pieceBytes) : chunk.length;
    const piece = chunk.subarray(0, size);
    if (size < chunk.length) this.#waiting.unshift(chunk.subarray(size));
    this.#busy = true;
    // What waits here is bounded by not reading on.
    this.#from.pause();
    const next = (): void => {
      this.#busy = false;
      this.#go();
    };
    const send = (): void => {
      if (this.#still || !this.#to.writable) return;
      if (this.#to.write(piece)) setImmediate(next);
      else this.#to.once('drain', next);
    };
    const late = this.#isRough() && this.#below(8) === 0 ? this.#below(delayMs) : 0;
    if (late > 0) setTimeout(send, late);
    else send();
  }
}

interface Connection {
  readonly client: Socket;
  readonly upstream: Socket;
  readonly directions: readonly Direction[];
}

/** The ways in which connections end. */
const ENDS: readonly ((connection: Connection) => void)[] = [
  ({ client, upstream }) => {
    client.resetAndDestroy();
    upstream.resetAndDestroy();
  },
  ({ client, upstream }) => {
    client.end();
    upstream.end();
  },
  // The client is gone and the server is not told, until it speaks; the other way round.
  ({ client, upstream }) => {
    client.destroy();
    setTimeout(() => upstream.destroy(), 500);
  },
  ({ client, upstream }) => {
    upstream.destroy();
    setTimeout(() => client.destroy(), 500);
  },
  // A cable that is pulled: both find out later.
  ({ client, upstream, directions }) => {
    for (const direction of directions) direction.standStill();
    setTimeout(() => {
      client.destroy();
      upstream.destroy();
    }, 1_000);
  },
];

export async function startRoughProxy(options: RoughProxyOptions): Promise<RoughProxy> {
  const below = randomFrom(options.seed);
  const connections = new Set<Connection>();
  let rough = false;
  const server = createServer((client) => {
    const { host, port } = options.target();
    const upstream = connect(port, host);
    const isRough = (): boolean => rough;
    const directions = [
      new Direction(client, upstream, options, below, isRough),
      new Direction(upstream, client, options, below, isRough),
    ];
    const connection = { client, upstream, directions };
    connections.add(connection);
    for (const socket of [client, upstream]) {
      socket.setNoDelay(true);
      socket.on('error', () => socket.destroy());
    }
    client.on('close', () => {
      connections.delete(connection);
      if (!upstream.destroyed) upstream.end();
    });
    upstream.on('close', () => {
      if (!client.destroyed) client.end();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port, // a TCP server's address is never a string
    get rough() {
      return rough;
    },
    set rough(next) {
      rough = next;
    },
    cut(of) {
      const chosen = [...connections].filter(() => below(of) === 0);
      for (const connection of chosen) ENDS[below(ENDS.length)]?.(connection);
      return chosen.length;
    },
    stop: async () => {
      for (const { client, upstream } of connections) {
        client.destroy();
        upstream.destroy();
      }
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}
