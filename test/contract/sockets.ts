/** What every socket engine must do. Both engines run it; the client is `ws`. */
import { connect, type Socket as NetSocket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { isTidemarkError } from '../../src/platform/errors.js';
import type {
  Caller,
  Refusal,
  Socket,
  SocketEngine,
  SocketHandlers,
  SocketRequest,
  SocketServer,
} from '../../src/realtime/sockets/port.js';
import { Refused, SocketClient, type ConnectOptions } from '../support/realtime/socket-client.js';

const MAX_PAYLOAD = 64 * 1024;
const MAX_BACKPRESSURE = 4 * 1024 * 1024;
const REFUSAL: Refusal = {
  status: 418,
  headers: { 'content-type': 'application/problem+json', 'x-why': 'because' },
  body: '{"code":"teapot"}',
};

const CALLER: Caller = { address: '10.0.0.7', credentials: { token: 'shown', via: 'cookie' } };

/** A server whose handlers only note what happens. */
class Fixture {
  readonly requests: SocketRequest[] = [];
  readonly sockets: Socket[] = [];
  readonly callers: Caller[] = [];
  readonly messages: { readonly socket: Socket; readonly text: string; readonly isBinary: boolean }[] = [];
  readonly closed: { readonly socket: Socket; readonly code: number }[] = [];
  readonly drained: Socket[] = [];
  readonly server: SocketServer;
  readonly #waiting = new Set<() => void>();
  port = 0;

  constructor(engine: SocketEngine, on: Partial<SocketHandlers> = {}) {
    const note = <T>(list: T[], item: T): void => {
      list.push(item);
      for (const wake of this.#waiting) wake();
      this.#waiting.clear();
    };
    this.server = engine.create(
      { maxPayloadBytes: MAX_PAYLOAD, maxBackpressureBytes: MAX_BACKPRESSURE, idleTimeoutSeconds: 8 },
      {
        upgrade: (request) => {
          note(this.requests, request);
          return on.upgrade?.(request) ?? { protocol: request.protocols[0], caller: CALLER };
        },
        request: (request) => {
          note(this.requests, request);
          return REFUSAL;
        },
        open: (socket, caller) => {
          on.open?.(socket, caller);
          this.callers.push(caller);
          note(this.sockets, socket);
        },
        message: (socket, data, isBinary) => {
          on.message?.(socket, data, isBinary);
          note(this.messages, { socket, text: Buffer.from(data).toString(), isBinary });
        },
        drain: (socket) => note(this.drained, socket),
        close: (socket, code) => note(this.closed, { socket, code }),
      },
    );
  }

  async start(): Promise<this> {
    this.port = await this.server.listen('127.0.0.1', 0);
    return this;
  }

  client(options?: ConnectOptions, path = '/realtime'): Promise<SocketClient> {
    return SocketClient.connect(`ws://127.0.0.1:${this.port}${path}`, options);
  }

  async pair(): Promise<{ readonly client: SocketClient; readonly socket: Socket }> {
    const number = this.sockets.length;
    const client = await this.client();
    return { client, socket: await this.until(() => this.sockets[number]) };
  }

  async until<T>(find: () => T | undefined): Promise<T> {
    for (;;) {
      const found = find();
      if (found !== undefined) return found;
      await new Promise<void>((resolve) => this.#waiting.add(resolve));
    }
  }
}

const closeCodeOf = (fixture: Fixture, socket: Socket): Promise<number> =>
  fixture.until(() => fixture.closed.find((one) => one.socket === socket)?.code);

/** Sends bytes over a bare connection, and leaves it open. */
const raw = (port: number, bytes: string): Promise<NetSocket> =>
  new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => socket.write(bytes, () => resolve(socket)));
    socket.on('error', reject);
  });

export function socketContract(engine: SocketEngine): void {
  let fixture: Fixture;
  const clients: SocketClient[] = [];
  const start = async (on?: Partial<SocketHandlers>): Promise<Fixture> => {
    fixture = await new Fixture(engine, on).start();
    return fixture;
  };
  const pair = async (): Promise<{ readonly client: SocketClient; readonly socket: Socket }> => {
    const made = await fixture.pair();
    clients.push(made.client);
    return made;
  };

  afterEach(async () => {
    for (const client of clients.splice(0)) client.ws.terminate();
    await fixture.server.close();
  });

  describe('listening', () => {
    it('takes a free port, and says in words when it cannot have the one it was told', async () => {
      await start();
      expect(fixture.port).toBeGreaterThan(0);
      const second = new Fixture(engine).server;
      const failure = await second.listen('127.0.0.1', fixture.port).catch((error: unknown) => error);
      await second.close();
      expect(isTidemarkError(failure, 'listen_failed') && failure.message).toMatch(
        new RegExp(`127\\.0\\.0\\.1:${fixture.port}.*in use`),
      );
    });

    it('lets those who are there go on when it stops listening', async () => {
      await start();
      const { client, socket } = await pair();
      fixture.server.stopListening();
      await expect(fixture.client()).rejects.toThrow(/ECONNREFUSED/);
      socket.send('still here');
      expect(await client.count(1)).toEqual(['still here']);
    });

    it('cuts what is left when it closes, and may be closed twice', async () => {
      await start();
      const { client, socket } = await pair();
      await Promise.all([fixture.server.close(), fixture.server.close()]);
      expect((await client.closed).code).toBe(1006);
      await closeCodeOf(fixture, socket);
      expect(socket.open).toBe(false);
    });
  });

  describe('the upgrade', () => {
    it('tells path, host, origin and subprotocols, and speaks the one that was chosen', async () => {
      await start({ upgrade: () => ({ protocol: 'b.v2', caller: CALLER }) });
      const headers = {
        origin: 'https://x.example',
        authorization: 'Bearer t',
        cookie: 'a=1; b=2',
        'x-forwarded-for': '10.0.0.1, 10.0.0.2',
      };
      const client = await fixture.client({ protocols: ['a.v1', 'b.v2'], headers }, '/some/where?with=query');
      clients.push(client);
      expect(client.ws.protocol).toBe('b.v2');
      expect(fixture.requests).toEqual([
        {
          method: 'GET',
          path: '/some/where',
          query: 'with=query',
          lastEventId: undefined,
          host: `127.0.0.1:${fixture.port}`,
          origin: 'https://x.example',
          protocols: ['a.v1', 'b.v2'],
          upgrade: true,
          remoteAddress: '127.0.0.1',
          authorization: 'Bearer t',
          cookie: 'a=1; b=2',
          forwardedFor: '10.0.0.1, 10.0.0.2',
        },
      ]);
      await fixture.until(() => fixture.sockets[0]);
      expect(fixture.callers).toEqual([CALLER]);
    });

    it('tells every line of X-Forwarded-For: the last is the proxy’s, whatever the client wrote before', async () => {
      await start();
      const headers = 'host: x\r\nx-forwarded-for: 6.6.6.6\r\nx-forwarded-for: 10.0.0.2\r\n';
      const socket = await raw(fixture.port, `GET /realtime HTTP/1.1\r\n${headers}\r\n`);
      await fixture.until(() => fixture.requests[0]);
      socket.destroy();
      expect(fixture.requests[0]?.forwardedFor).toBe('6.6.6.6, 10.0.0.2');
    });

    it('does without a subprotocol where none is offered', async () => {
      await start();
      const { client, socket } = await pair();
      expect(client.ws.protocol).toBe('');
      expect(fixture.requests[0]?.protocols).toEqual([]);
      expect(fixture.requests[0]?.origin).toBeUndefined();
      expect(socket.remoteAddress).toContain('127.0.0.1');
    });

    it('refuses with a whole HTTP answer', async () => {
      await start({ upgrade: () => REFUSAL });
      const refused = await fixture.client().catch((error: unknown) => error);
      expect(refused).toBeInstanceOf(Refused);
      expect(refused).toMatchObject({
        status: 418,
        contentType: 'application/problem+json',
        body: '{"code":"teapot"}',
      });
      expect(fixture.sockets).toEqual([]);
    });

    it('answers plain HTTP of any method', async () => {
      await start();
      for (const method of ['GET', 'POST', 'DELETE']) {
        const response = await fetch(`http://127.0.0.1:${fixture.port}/realtime?x=1`, { method });
        expect([response.status, response.headers.get('x-why'), await response.text()]).toEqual([
          418,
          'because',
          '{"code":"teapot"}',
        ]);
      }
      expect(fixture.requests.map(({ method, path, upgrade }) => [method, path, upgrade])).toEqual(
        ['GET', 'POST', 'DELETE'].map((method) => [method, '/realtime', false]),
      );
    });
  });

  describe('messages', () => {
    it('come as text or binary, in order', async () => {
      await start();
      const { client } = await pair();
      client.send('one ✓');
      client.send(Buffer.from([1, 2, 3]));
      client.send('');
      await fixture.until(() => fixture.messages[2]);
      expect(fixture.messages.map(({ text, isBinary }) => [text, isBinary])).toEqual([
        ['one ✓', false],
        ['\u0001\u0002\u0003', true],
        ['', false],
      ]);
    });

    it('that come right after the upgrade find the socket open', async () => {
      await start({ open: (socket) => void socket.send('welcome') });
      const { client } = await pair();
      client.send('early');
      await fixture.until(() => fixture.messages[0]);
      expect(await client.count(1)).toEqual(['welcome']);
    });

    it('over the limit end that connection and no other', async () => {
      await start();
      const [big, other] = [await pair(), await pair()];
      big.client.send('x'.repeat(MAX_PAYLOAD + 1));
      await closeCodeOf(fixture, big.socket);
      await big.client.closed;
      other.client.send('x'.repeat(MAX_PAYLOAD));
      expect((await fixture.until(() => fixture.messages[0])).socket).toBe(other.socket);
    });

    it('that are no valid frames end that connection and no other', async () => {
      await start();
      const [broken, other] = [await pair(), await pair()];
      // A text frame whose bytes are no UTF-8.
      broken.client.ws.send(Buffer.from([0xc3, 0x28]), { binary: false });
      await closeCodeOf(fixture, broken.socket);
      const nonsense = await raw(fixture.port, 'nonsense\r\n\r\n');
      other.client.send('fine');
      expect((await fixture.until(() => fixture.messages[0])).socket).toBe(other.socket);
      nonsense.destroy();
    });
  });

  describe('sends and topics', () => {
    it('reach the client in the order of the calls, whatever their size', async () => {
      await start();
      const { client, socket } = await pair();
      const { server } = fixture;
      const big = 'B'.repeat(100_000);
      socket.subscribe('t');
      server.publish('t', 'p1');
      socket.send('s1');
      server.publish('t', 'p2');
      server.publish('t', big);
      socket.send('s2');
      socket.cork(() => {
        socket.send('c1');
        server.publish('t', 'c2');
        socket.send('c3');
      });
      server.publish('t', 'p3');
      expect(await client.count(9)).toEqual(['p1', 's1', 'p2', big, 's2', 'c1', 'c2', 'c3', 'p3']);
    });

    it('go to who is in the topic at that moment, also when it leaves right after', async () => {
      await start();
      const [one, two] = [await pair(), await pair()];
      const { server } = fixture;
      one.socket.subscribe('t');
      expect(server.publish('t', '1')).toBe(1);
      two.socket.subscribe('t');
      two.socket.subscribe('t');
      expect(server.publish('t', '2')).toBe(2);
      one.socket.unsubscribe('t');
      one.socket.unsubscribe('never joined');
      expect(server.publish('t', '3')).toBe(1);
      two.socket.unsubscribe('t');
      expect(server.publish('t', '4')).toBe(0);
      one.socket.send('end');
      two.socket.send('end');
      expect(await one.client.count(3)).toEqual(['1', '2', 'end']);
      expect(await two.client.count(3)).toEqual(['2', '3', 'end']);
    });

    it('are told apart when the client does not read: buffered up to the limit, dropped above, in order after it reads', async () => {
      await start();
      const [slow, other] = [await pair(), await pair()];
      slow.client.pause();
      other.socket.subscribe('t');
      slow.socket.subscribe('t');
      const results: string[] = [];
      for (let n = 0; n < 300 && !results.includes('dropped'); n++)
        results.push(slow.socket.send(`${n}:${'x'.repeat(256 * 1024)}`));
      expect(results).toContain('buffered');
      expect(results.at(-1)).toBe('dropped');
      expect(slow.socket.bufferedAmount()).toBeGreaterThan(MAX_BACKPRESSURE);
      expect(slow.socket.bufferedAmount()).toBeLessThan(MAX_BACKPRESSURE + 1024 * 1024);
      fixture.server.publish('t', 'passes the slow one by');
      expect(await other.client.count(1)).toEqual(['passes the slow one by']);
      slow.client.resume();
      await fixture.until(() => (slow.socket.bufferedAmount() === 0 ? true : undefined));
      expect(fixture.drained).toContain(slow.socket);
      expect(slow.socket.send('again')).not.toBe('dropped');
      const received = await slow.client.until((all) => (all.at(-1) === 'again' ? all : undefined));
      expect(received.map((text) => text.slice(0, text.indexOf(':')))).toEqual([
        ...results.slice(0, -1).map((_result, n) => String(n)),
        'agai',
      ]);
    });
  });

  describe('closing', () => {
    it('tells the client the code and the reason; a closed socket does nothing and throws nothing', async () => {
      await start();
      const { client, socket } = await pair();
      socket.subscribe('t');
      socket.send('last words');
      socket.end(4000, 'going_away');
      expect(await closeCodeOf(fixture, socket)).toBe(4000);
      expect(await client.closed).toEqual({ code: 4000, reason: 'going_away' });
      expect(client.received).toEqual(['last words']);
      expect(socket.open).toBe(false);
      expect(socket.send('x')).toBe('dropped');
      expect(socket.bufferedAmount()).toBe(0);
      socket.subscribe('u');
      socket.unsubscribe('t');
      socket.cork(() => socket.send('x'));
      socket.end(4001, 'again');
      expect(fixture.server.publish('t', 'x')).toBe(0);
      expect(fixture.server.publish('u', 'x')).toBe(0);
      expect(fixture.closed.length).toBe(1);
    });

    it('by the client is told with its code', async () => {
      await start();
      const [polite, rude] = [await pair(), await pair()];
      polite.client.ws.close(4321, 'enough');
      rude.client.ws.terminate();
      expect(await closeCodeOf(fixture, polite.socket)).toBe(4321);
      expect(await closeCodeOf(fixture, rude.socket)).toBe(1006);
    });
  });

  it('answers protocol-level pings', async () => {
    await start();
    const { client } = await pair();
    const pong = new Promise<string>((resolve) => client.ws.once('pong', (data) => resolve(data.toString())));
    client.ws.ping('are you there');
    expect(await pong).toBe('are you there');
  });
}
