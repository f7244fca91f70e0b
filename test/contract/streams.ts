/** What every socket engine must do with answers that go on. Both engines run it; the client is Node's own. */
import { connect } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import type { ByteStream, StreamAnswer } from '../../src/realtime/sockets/byte-stream.js';
import type {
  Answer,
  Refusal,
  SocketEngine,
  SocketRequest,
  SocketServer,
} from '../../src/realtime/sockets/port.js';
import { EventClient, NoStream, type OpenOptions } from '../support/realtime/event-client.js';

const MAX_BACKPRESSURE = 4 * 1024 * 1024;
const REFUSAL: Refusal = { status: 418, headers: { 'x-why': 'because' }, body: '{"code":"teapot"}' };
const HEADERS = { 'content-type': 'text/event-stream', 'x-kind': 'stream', connection: 'close' };

interface Opened {
  readonly stream: ByteStream;
  drained: number;
  closed: number;
}

const bytesOf = (data: string): Buffer => Buffer.from(`data: ${data}\n\n`);

class StreamServer {
  readonly requests: SocketRequest[] = [];
  readonly opened: Opened[] = [];
  readonly server: SocketServer;
  readonly #waiting = new Set<() => void>();
  port = 0;

  /** @param answerWith given what an answer that goes on would be */
  constructor(
    engine: SocketEngine,
    answerWith: (stream: StreamAnswer) => Answer | Promise<Answer> = (stream) => stream,
    onOpen: (stream: ByteStream) => void = () => undefined,
  ) {
    const unused = (): never => {
      throw new Error('nobody opens a socket here');
    };
    this.server = engine.create(
      { maxPayloadBytes: 1_024, maxBackpressureBytes: MAX_BACKPRESSURE, idleTimeoutSeconds: 8 },
      {
        upgrade: unused,
        open: unused,
        message: unused,
        drain: unused,
        close: unused,
        request: (request) => {
          this.requests.push(request);
          this.wake();
          return answerWith({ headers: HEADERS, open: (stream) => this.#open(stream, onOpen) });
        },
      },
    );
  }

  async start(): Promise<this> {
    this.port = await this.server.listen('127.0.0.1', 0);
    return this;
  }

  client(options?: OpenOptions, path = '/realtime/sse'): Promise<EventClient> {
    return EventClient.open(`http://127.0.0.1:${this.port}${path}`, options);
  }

  async until<T>(find: () => T | undefined): Promise<T> {
    for (;;) {
      const found = find();
      if (found !== undefined) return found;
      await new Promise<void>((resolve) => this.#waiting.add(resolve));
    }
  }

  #open(stream: ByteStream, onOpen: (stream: ByteStream) => void) {
    const one: Opened = { stream, drained: 0, closed: 0 };
    this.opened.push(one);
    onOpen(stream);
    this.wake();
    return {
      drain: () => {
        one.drained++;
        this.wake();
      },
      close: () => {
        one.closed++;
        this.wake();
      },
    };
  }

  wake(): void {
    for (const wake of this.#waiting) wake();
    this.#waiting.clear();
  }
}

export function streamContract(engine: SocketEngine): void {
  let fixture: StreamServer;
  const clients: EventClient[] = [];
  const start = async (
    ...given: ConstructorParameters<typeof StreamServer> extends [unknown, ...infer R] ? R : never
  ): Promise<StreamServer> => {
    fixture = await new StreamServer(engine, ...given).start();
    return fixture;
  };
  const pair = async (): Promise<{ readonly client: EventClient; readonly one: Opened }> => {
    const number = fixture.opened.length;
    const client = await fixture.client();
    clients.push(client);
    return { client, one: await fixture.until(() => fixture.opened[number]) };
  };

  afterEach(async () => {
    for (const client of clients.splice(0)) client.close();
    await fixture.server.close();
  });

  it('tells path, query and what the caller shows', async () => {
    await start();
    const client = await fixture.client(
      { headers: { 'last-event-id': 'e-7', cookie: 'a=1; b=2', authorization: 'Bearer t' } },
      '/some/where?view=a%20b&where=%7B%7D',
    );
    clients.push(client);
    expect(fixture.requests[0]).toMatchObject({
      method: 'GET',
      path: '/some/where',
      query: 'view=a%20b&where=%7B%7D',
      lastEventId: 'e-7',
      cookie: 'a=1; b=2',
      authorization: 'Bearer t',
      upgrade: false,
    });
    const plain = await fixture.client();
    clients.push(plain);
    expect(fixture.requests[1]).toMatchObject({ query: '', path: '/realtime/sse' });
    expect(fixture.requests[1]?.lastEventId).toBeUndefined();
  });

  it('begins with its headers, before anything is written, and goes on in the order of the writes', async () => {
    await start();
    const { client, one } = await pair();
    expect(client.headers).toMatchObject({ 'content-type': 'text/event-stream', 'x-kind': 'stream' });
    const big = 'B'.repeat(100_000);
    one.stream.write(bytesOf('1'));
    one.stream.cork(() => {
      one.stream.write(bytesOf('2'));
      one.stream.write(bytesOf(big));
      one.stream.write(bytesOf('3 ✓'));
    });
    one.stream.write(bytesOf('4'));
    await client.until(() => client.events[4]);
    expect(client.events.map(({ data }) => data)).toEqual(['1', '2', big, '3 ✓', '4']);
    expect(one.stream.remoteAddress).toContain('127.0.0.1');
    expect(one.stream.open).toBe(true);
  });

  it('gives the same bytes to several', async () => {
    await start();
    const all = [await pair(), await pair(), await pair()];
    const shared = bytesOf('shared');
    for (const { one } of all) one.stream.write(shared);
    for (const { client } of all) expect((await client.next('message')).data).toBe('shared');
    expect(shared.toString()).toBe('data: shared\n\n');
  });

  describe('an answer that is known later', () => {
    it('is given when it is known, whole or going on', async () => {
      const waiting: (() => void)[] = [];
      await start(async (stream) => {
        await new Promise<void>((resolve) => waiting.push(resolve));
        return waiting.length > 1 ? REFUSAL : stream;
      });
      const opening = fixture.client();
      await fixture.until(() => waiting[0]);
      waiting[0]?.();
      const client = await opening;
      clients.push(client);
      fixture.opened[0]?.stream.write(bytesOf('late'));
      expect((await client.next('message')).data).toBe('late');
      const refused = fixture.client();
      await fixture.until(() => waiting[1]);
      waiting[1]?.();
      const error = await refused.catch((thrown: unknown) => thrown);
      expect(error).toBeInstanceOf(NoStream);
      expect(error).toMatchObject({ status: 418, body: '{"code":"teapot"}' });
    });

    it('is dropped when the client went before, and its neighbours go on', async () => {
      const waiting: ((answer: 'stream') => void)[] = [];
      await start(async (stream) => {
        if (waiting.length > 0) return stream;
        await new Promise((resolve) => waiting.push(resolve));
        return stream;
      });
      const gone = connect(fixture.port, '127.0.0.1');
      gone.write('GET /realtime/sse HTTP/1.1\r\nHost: localhost\r\n\r\n');
      await fixture.until(() => waiting[0]);
      gone.resetAndDestroy();
      const { client, one } = await pair();
      waiting[0]?.('stream');
      one.stream.write(bytesOf('fine'));
      expect((await client.next('message')).data).toBe('fine');
      // An engine that has not heard yet that the client is gone may open it, and tells then.
      await fixture.until(() =>
        fixture.opened.slice(1).every(({ closed }) => closed === 1) ? true : undefined,
      );
    });
  });

  it('tells apart what a slow client gets: buffered up to the limit, dropped above, in order after it reads', async () => {
    await start();
    const [slow, other] = [await pair(), await pair()];
    slow.client.pause();
    const results: string[] = [];
    for (let n = 0; n < 300 && !results.includes('dropped'); n++)
      results.push(slow.one.stream.write(bytesOf(`${n}:${'x'.repeat(256 * 1024)}`)));
    expect(results).toContain('buffered');
    expect(results.at(-1)).toBe('dropped');
    const buffered = slow.one.stream.bufferedAmount();
    expect(buffered).toBeGreaterThan(MAX_BACKPRESSURE);
    expect(buffered).toBeLessThan(MAX_BACKPRESSURE + 1024 * 1024);
    other.one.stream.write(bytesOf('passes the slow one by'));
    expect((await other.client.next('message')).data).toBe('passes the slow one by');
    slow.client.resume();
    await fixture.until(() =>
      slow.one.stream.bufferedAmount() === 0 && slow.one.drained > 0 ? true : undefined,
    );
    expect(slow.one.stream.write(bytesOf('again'))).not.toBe('dropped');
    await slow.client.until(() => slow.client.events.find(({ data }) => data === 'again'));
    expect(slow.client.events.map(({ data }) => data.slice(0, data.indexOf(':')))).toEqual([
      ...results.slice(0, -1).map((_result, n) => String(n)),
      'agai',
    ]);
    expect(other.one.drained).toBe(0);
  });

  it('gives what was small and waited to a client that reads again, without another write', async () => {
    await start();
    const { client, one } = await pair();
    client.pause();
    let written = 0;
    while (one.stream.bufferedAmount() === 0) {
      one.stream.write(bytesOf(`${written}:${'y'.repeat(8_000)}`));
      written++;
    }
    for (let n = 0; n < 20; n++) one.stream.write(bytesOf('last ones'));
    client.resume();
    await client.until(() => client.events[written + 19]);
    expect(client.events.at(-1)?.data).toBe('last ones');
    expect(client.events.length).toBe(written + 20);
  });

  describe('its end', () => {
    it('comes after what was written; the close handler has run by then, once', async () => {
      await start();
      const { client, one } = await pair();
      one.stream.write(bytesOf('last words'));
      one.stream.end();
      expect([one.closed, one.stream.open]).toEqual([1, false]);
      expect(await client.ended).toBe(true);
      expect(client.events.map(({ data }) => data)).toEqual(['last words']);
      expect(one.stream.write(bytesOf('x'))).toBe('dropped');
      expect(one.stream.bufferedAmount()).toBe(0);
      one.stream.cork(() => one.stream.write(bytesOf('x')));
      one.stream.end();
      one.stream.cut();
      expect(one.closed).toBe(1);
    });

    it('by a slow client comes after all that it was sent', async () => {
      await start();
      const { client, one } = await pair();
      client.pause();
      let written = 0;
      while (one.stream.bufferedAmount() < 1024 * 1024) {
        one.stream.write(bytesOf(`${written}:${'z'.repeat(64 * 1024)}`));
        written++;
      }
      one.stream.end();
      client.resume();
      expect(await client.ended).toBe(true);
      expect(client.events.length).toBe(written);
    });

    it('may come before anything else, while it is opened', async () => {
      await start(undefined, (stream) => stream.end());
      const client = await fixture.client();
      clients.push(client);
      expect(await client.ended).toBe(true);
      expect(fixture.opened[0]?.closed).toBe(1);
    });

    it('cuts the client off where that was wanted', async () => {
      await start();
      const { client, one } = await pair();
      one.stream.cut();
      expect([one.closed, one.stream.open]).toEqual([1, false]);
      expect(await client.ended).toBe(false);
    });

    it('by the client is told once', async () => {
      await start();
      const [{ client, one }, other] = [await pair(), await pair()];
      client.close();
      await fixture.until(() => (one.closed > 0 ? true : undefined));
      expect(one.stream.open).toBe(false);
      expect(one.stream.write(bytesOf('x'))).toBe('dropped');
      other.one.stream.write(bytesOf('here'));
      expect((await other.client.next('message')).data).toBe('here');
      expect([one.closed, other.one.closed]).toEqual([1, 0]);
    });

    it('comes with the server’s; those that are there go on until then', async () => {
      await start();
      const { client, one } = await pair();
      fixture.server.stopListening();
      await expect(fixture.client()).rejects.toThrow(/ECONNREFUSED/);
      one.stream.write(bytesOf('still here'));
      expect((await client.next('message')).data).toBe('still here');
      await fixture.server.close();
      expect(await client.ended).toBe(false);
      await fixture.until(() => (one.closed === 1 ? true : undefined));
    });
  });
}
