/** What we stand on inside of kafkajs: it is there, it is of the version we know, and its queue rests when it has nothing to do. */
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import Broker from 'kafkajs/src/broker/index.js';
import Connection from 'kafkajs/src/network/connection.js';
import ConnectionPool from 'kafkajs/src/network/connectionPool.js';
import RequestQueue from 'kafkajs/src/network/requestQueue/index.js';
import Decoder from 'kafkajs/src/protocol/decoder.js';
import kafkaErrors from 'kafkajs/src/protocol/error.js';
import crc32C from 'kafkajs/src/protocol/recordBatch/crc32C/index.js';
import decodeRecord from 'kafkajs/src/protocol/recordBatch/record/v0/decoder.js';
import protocol from 'kafkajs/src/protocol/requests/index.js';
import { expect, onTestFinished, test, vi } from 'vitest';
import { z } from 'zod';
import { createKafka, kafkaLog } from '../../../src/broker/kafka/client.js';
import { mendHeaders } from '../../../src/broker/kafka/headers.js';
import { mendRequestQueue } from '../../../src/broker/kafka/queue.js';
import { encodeBatch } from '../../../src/broker/kafka/wire/batch.js';
import { createLogger, silentLogger } from '../../../src/platform/logger.js';

const manifest = (path: string): unknown =>
  JSON.parse(readFileSync(new URL(`../../../${path}`, import.meta.url), 'utf8'));

test('kafkajs is of the one version that was looked into', () => {
  const ours = z.object({ dependencies: z.object({ kafkajs: z.string() }) }).parse(manifest('package.json'));
  const theirs = z.object({ version: z.string() }).parse(manifest('node_modules/kafkajs/package.json'));
  expect([ours.dependencies.kafkajs, theirs.version]).toEqual(['2.2.4', '2.2.4']);
});

test('the parts that we use are there', () => {
  for (const name of ['isConnected', 'connect']) expect(Broker.prototype).toHaveProperty(name);
  for (const name of ['send', 'getConnection']) expect(ConnectionPool.prototype).toHaveProperty(name);
  for (const name of ['disconnect', 'rejectRequests']) expect(Connection.prototype).toHaveProperty(name);
  for (const api of Object.values(protocol.requests)) expect(api).toHaveProperty('protocol');
  expect(protocol.requests.Produce.versions).toEqual(expect.arrayContaining(['3', '7']));
  expect(kafkaErrors.createErrorFromCode(6)).toMatchObject({ type: 'NOT_LEADER_FOR_PARTITION' });
  // Of RFC 3720, B.4.
  expect(crc32C(Buffer.alloc(32))).toBe(0x8a9136aa);
});

test('a queue looks again only while something waits', () => {
  vi.useFakeTimers();
  onTestFinished(() => {
    vi.useRealTimers();
  });
  mendRequestQueue();
  const looks = vi.fn();
  const pending: unknown[] = [];
  const queue = {
    throttledUntil: -1,
    throttleCheckTimeoutId: null as NodeJS.Timeout | null,
    pending,
    checkPendingRequests: looks,
    scheduleCheckPendingRequests: RequestQueue.prototype.scheduleCheckPendingRequests,
  };
  queue.scheduleCheckPendingRequests();
  expect(vi.getTimerCount()).toBe(0);
  pending.push('waits');
  queue.throttledUntil = Date.now() + 500;
  queue.scheduleCheckPendingRequests();
  queue.scheduleCheckPendingRequests();
  expect(vi.getTimerCount()).toBe(1);
  vi.advanceTimersByTime(499);
  expect(looks).not.toHaveBeenCalled();
  vi.advanceTimersByTime(1);
  expect(looks).toHaveBeenCalledOnce();
  expect(queue.throttleCheckTimeoutId).toBeNull();
  queue.throttledUntil = -1;
  queue.scheduleCheckPendingRequests();
  vi.advanceTimersByTime(10);
  expect(looks).toHaveBeenCalledTimes(2);
});

test('settings reach the client, and it speaks only to the brokers that they name', async () => {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const at = server.address();
  if (at === null || typeof at === 'string') throw new Error('a TCP server has a port');
  const kafka = createKafka(
    {
      brokers: [`127.0.0.1:${at.port}`],
      tls: false,
      sasl: undefined,
      replication: undefined,
      clientId: 'my client',
    },
    silentLogger,
  );
  const admin = kafka.admin();
  void admin.connect().catch(() => undefined);
  const [socket] = z.tuple([z.custom<import('node:net').Socket>()]).parse(await once(server, 'connection'));
  const [question] = z.tuple([z.instanceof(Buffer)]).parse(await once(socket, 'data'));
  expect(question.toString('latin1')).toContain('my client');
  server.close();
  socket.destroy();
});

test('its lines come as ours, without what it hangs on them', () => {
  const lines: unknown[] = [];
  const logger = createLogger({
    level: 'debug',
    destination: { write: (line) => lines.push(JSON.parse(line)) },
  });
  const log = {
    timestamp: '',
    message: 'Connection error',
    broker: 'b:1',
    payload: { password: 'x' },
    stack: 's',
  };
  kafkaLog(logger)({ namespace: 'Connection', level: 1, label: 'ERROR', log });
  expect(lines).toEqual([
    {
      level: 'debug',
      time: expect.any(String),
      kafkajs: 'Connection',
      as: 'ERROR',
      broker: 'b:1',
      msg: 'Connection error',
    },
  ]);
});

test('a record of a great many headers is read in their number, and as it ever was', () => {
  mendHeaders();
  const read = (headers: Readonly<Record<string, string>>) => {
    const { bytes } = encodeBatch([{ key: null, value: null, headers }], 0, 1_000_000, 0);
    const decoder = new Decoder(bytes.subarray(61));
    decoder.readVarInt();
    return decodeRecord(decoder, { firstOffset: '0', firstTimestamp: '0', magicByte: 2 }).headers;
  };
  expect(read({ one: '1', ['__proto__']: 'own' })).toEqual(
    Object.fromEntries([
      ['one', Buffer.from('1')],
      ['__proto__', Buffer.from('own')],
    ]),
  );
  const many = Object.fromEntries(Array.from({ length: 50_000 }, (_, n) => [`h${n}`, '']));
  // Minutes as kafkajs does it.
  const began = performance.now();
  expect(Object.keys(read(many))).toHaveLength(50_000);
  expect(performance.now() - began).toBeLessThan(5_000);
});

test('a header that stands several times is a list', () => {
  mendHeaders();
  const header = (value: string | null) => ({ key: 'x', value: value === null ? null : Buffer.from(value) });
  const list = [header('a'), header(null), header('b')];
  const decoder = new Decoder(Buffer.from([list.length * 2]));
  const read: unknown = decoder
    .readVarIntArray(() => list.shift() ?? header(null))
    .reduce(() => expect.unreachable());
  expect(read).toEqual({ x: [Buffer.from('a'), null, Buffer.from('b')] });
});
