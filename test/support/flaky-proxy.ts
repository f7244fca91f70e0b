/** A TCP proxy before Postgres that can lose, delay and refuse what goes through it: what a broken network does. */
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';

type ProxyMode =
  | 'pass'
  /** What the server answers is swallowed and the client's connection dies; the server has done its work. */
  | 'lose-answers'
  /** What the server answers is kept back until the mode changes: a client that stands still. */
  | 'hold-answers'
  /** What the client asks next is kept back and its connection dies; the server gets it by `deliver`. */
  | 'cut-questions'
  /** The next answer is replaced by a PANIC, as of a server that fails while it writes its log; the server has done its work. */
  | 'panic'
  | 'refuse';

/** What happens to the next question with some text in it, once; all others pass. */
export interface Trap {
  readonly text: string;
  readonly how:
    /** The server does its work; its answer is lost, and the connection with it. */
    | 'lose-answer'
    /** The server never sees it; the connection is lost on both sides. */
    | 'lose-question'
    /** The client’s connection is lost; the server gets the question by `deliver`. */
    | 'keep-question';
}

export interface FlakyProxy {
  /** The database's URL by way of the proxy. */
  readonly url: string;
  mode: ProxyMode;
  /** A question with this text in it ends its connection, both sides, before the server sees it. */
  poison: string | undefined;
  /** Undefined again once something was caught in it. */
  trap: Trap | undefined;
  /** Resolves when the next question was lost or kept back or the next answer was lost or held. */
  interrupted(): Promise<void>;
  /** Ends the clients' side of every connection; the server is not told, as when a cable is pulled. */
  cut(): void;
  /** Gives the server what `cut-questions` kept back. @returns whether it was still connected */
  deliver(): boolean;
  /** Connections that are made from now on go there. */
  retarget(url: string): void;
  stop(): Promise<void>;
}

/** An ErrorResponse: https://www.postgresql.org/docs/current/protocol-error-fields.html */
function panic(): Buffer {
  const fields = ['SPANIK', 'VPANIC', 'C53100', 'Mcould not write to the log', ''].join('\0') + '\0';
  const head = Buffer.alloc(5);
  head.write('E');
  head.writeInt32BE(4 + Buffer.byteLength(fields), 1);
  return Buffer.concat([head, Buffer.from(fields)]);
}

export async function startFlakyProxy(databaseUrl: string): Promise<FlakyProxy> {
  let target = new URL(databaseUrl);
  const sockets = new Set<Socket>();
  const kept: { readonly upstream: Socket; readonly chunk: Buffer }[] = [];
  const waiting: (() => void)[] = [];
  const release = new Set<() => void>();
  const pullers = new Set<() => void>();
  let mode: ProxyMode = 'pass';
  let poison: string | undefined;
  let trap: Trap | undefined;
  const interrupt = (): void => {
    for (const wake of waiting.splice(0)) wake();
  };
  const server = createServer((client) => {
    if (mode !== 'pass') {
      client.destroy();
      return;
    }
    const upstream = connect(Number(target.port), target.hostname);
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on('error', () => socket.destroy());
      socket.on('close', () => sockets.delete(socket));
    }
    const held: Buffer[] = [];
    release.add(() => {
      for (const chunk of held.splice(0)) client.write(chunk);
    });
    let cut = false;
    let losing = false;
    const keep = (chunk: Buffer): void => {
      cut = true;
      kept.push({ upstream, chunk });
      client.destroy();
      interrupt();
    };
    const catchIn = (sprung: Trap, chunk: Buffer): void => {
      trap = undefined;
      if (sprung.how === 'keep-question') {
        keep(chunk);
        return;
      }
      if (sprung.how === 'lose-answer') {
        losing = true;
        upstream.write(chunk);
        return;
      }
      client.destroy();
      upstream.destroy();
      interrupt();
    };
    pullers.add(() => {
      cut = true;
      client.destroy();
    });
    client.on('data', (chunk) => {
      if (poison !== undefined && chunk.includes(poison)) {
        client.destroy();
        upstream.destroy();
        return;
      }
      if (trap && chunk.includes(trap.text)) catchIn(trap, chunk);
      else if (mode === 'cut-questions') keep(chunk);
      else upstream.write(chunk);
    });
    upstream.on('data', (chunk) => {
      if (losing) {
        client.destroy();
        interrupt();
        return;
      }
      if (mode === 'pass') client.write(chunk);
      else if (mode === 'hold-answers') held.push(chunk);
      else if (mode === 'panic') client.end(panic());
      else client.destroy();
      if (mode !== 'pass') interrupt();
    });
    client.on('close', () => {
      if (!cut) upstream.end();
    });
    upstream.on('close', () => client.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = new URL(databaseUrl);
  url.hostname = '127.0.0.1';
  url.port = String((server.address() as AddressInfo).port); // a TCP server's address is never a string
  const proxy: FlakyProxy = {
    url: url.href,
    get mode() {
      return mode;
    },
    set mode(next) {
      mode = next;
      if (next === 'pass') for (const one of release) one();
    },
    get poison() {
      return poison;
    },
    set poison(text) {
      poison = text;
    },
    get trap() {
      return trap;
    },
    set trap(next) {
      trap = next;
    },
    interrupted: () => new Promise((resolve) => waiting.push(resolve)),
    cut() {
      for (const pull of pullers) pull();
    },
    deliver() {
      const open = kept.filter(({ upstream }) => upstream.writable);
      kept.length = 0;
      for (const { upstream, chunk } of open) upstream.write(chunk);
      return open.length > 0;
    },
    retarget(next) {
      target = new URL(next);
    },
    stop: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
  return proxy;
}
