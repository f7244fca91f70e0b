/** Brokers that are away, frozen or half there: nothing hangs, nobody else is held up, and what can go on goes on. */
import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { KafkaPublisher, type KafkaPublisherOptions } from '../../../src/broker/kafka/publisher.js';
import { topicOf } from '../../../src/broker/kafka/records.js';
import { silentLogger as logger } from '../../../src/platform/logger.js';
import { describeKafkaCluster, uniqueName } from '../../support/kafka.js';
import { startKafka, type KafkaCluster } from '../../support/kafka/cluster.js';
import { kafkaTools, untilLed } from '../../support/kafka/tools.js';
import { outgoingEvent, outgoingEvents } from '../../support/outgoing.js';

/** Three brokers at once, on a machine with two cores that others use too. */
const START_MS = 180_000;
const TEST_MS = 300_000;
/** So soon a call that waits for no time of its own has ended, even on a machine that others use; kafkajs by itself waits longer. */
const SOON_MS = 25_000;
const orders = { kind: 'events', log: 'order' } as const;

function publisherOf(
  brokers: readonly string[],
  some: Partial<KafkaPublisherOptions> = {},
): { publisher: KafkaPublisher; app: string } {
  const app = some.app ?? uniqueName('away');
  const settings = { brokers, tls: false, sasl: undefined, replication: undefined, clientId: 'tests' };
  const publisher = new KafkaPublisher({ settings, logger, sendMs: 2_000, ...some, app });
  onTestFinished(() => publisher.stop());
  return { publisher, app };
}

/** Accepts connections and says nothing. */
async function mute(): Promise<{ address: string; sockets: Set<Socket>; server: Server }> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.on('close', () => sockets.delete(socket));
    socket.resume();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const at = server.address();
  if (at === null || typeof at === 'string') throw new Error('a TCP server has a port');
  onTestFinished(async () => {
    for (const socket of sockets) socket.destroy();
    server.close();
    await once(server, 'close');
  });
  return { address: `127.0.0.1:${at.port}`, sockets, server };
}

const took = async (work: Promise<unknown>): Promise<{ told: unknown; ms: number }> => {
  const begin = performance.now();
  const told = await work.catch((error: unknown) => error);
  return { told, ms: performance.now() - begin };
};

describe('no broker', () => {
  test('that listens: told at once, with the names', async () => {
    const { server, address } = await mute();
    server.close();
    const { publisher } = publisherOf([address, 'localhost:1'], { sendMs: 60_000 });
    const calls = [
      publisher.ensure([orders], 2),
      publisher.publish(orders, 0, outgoingEvents(0, 1, 1)),
      publisher.tail(orders, 0),
      publisher.brokers(),
    ];
    for (const { told, ms } of await Promise.all(calls.map(took))) {
      expect(told).toMatchObject({
        code: 'broker_unavailable',
        message: expect.stringContaining(`none of Kafka’s brokers answers (${address}, localhost:1)`),
      });
      expect(ms).toBeLessThan(SOON_MS);
    }
  });

  test('that answers: a send is given up in its time, and leaves nothing open', async () => {
    const { address, sockets } = await mute();
    const { publisher } = publisherOf([address], { sendMs: 300 });
    for (let attempt = 0; attempt < 3; attempt++) {
      const sends = [0, 1, 2].map((shard) =>
        took(publisher.publish(orders, shard, outgoingEvents(shard, 1, 1))),
      );
      for (const { told, ms } of await Promise.all(sends)) {
        expect(told).toMatchObject({
          code: 'broker_unavailable',
          message: expect.stringContaining('no answer in 300 ms'),
        });
        expect(ms).toBeLessThan(SOON_MS);
      }
    }
    // All ask over the same connection.
    await expect.poll(() => sockets.size).toBeLessThanOrEqual(2);
    await publisher.stop();
    await Promise.all([...sockets].map((socket) => once(socket, 'close')));
  });

  test('is asked after a stop', async () => {
    const { address } = await mute();
    const { publisher } = publisherOf([address]);
    await publisher.stop();
    await publisher.stop();
    await expect(publisher.publish(orders, 0, outgoingEvents(0, 1, 1))).rejects.toMatchObject({
      code: 'broker_unavailable',
    });
  });
});

describeKafkaCluster('of three brokers', { timeout: TEST_MS }, () => {
  let cluster: KafkaCluster | undefined;

  beforeAll(async () => {
    cluster = await startKafka({ brokers: 3 });
  }, START_MS);
  afterAll(() => cluster?.stop());

  const started = (): KafkaCluster => {
    if (!cluster) throw new Error('it did not start');
    return cluster;
  };

  /** A topic whose partition n is on broker n + 1 alone. */
  async function spread(sendMs: number): Promise<KafkaPublisher> {
    const { publisher, app } = publisherOf(started().brokers, { sendMs });
    const topic = topicOf(app, orders);
    await kafkaTools(started().brokers).withAdmin(async (admin) => {
      await admin.createTopics({
        waitForLeaders: false,
        topics: [
          {
            topic,
            replicaAssignment: [0, 1, 2].map((partition) => ({ partition, replicas: [partition + 1] })),
            configEntries: [{ name: 'min.insync.replicas', value: '1' }],
          },
        ],
      });
      await untilLed(admin, topic);
    });
    await publisher.ensure([orders], 3);
    await Promise.all(
      [0, 1, 2].map((shard) => publisher.publish(orders, shard, outgoingEvents(shard, 1, 1))),
    );
    return publisher;
  }

  const tried = async (publisher: KafkaPublisher, seq: number) =>
    Promise.all(
      [0, 1, 2].map((shard) => took(publisher.publish(orders, shard, [outgoingEvent(shard, seq)]))),
    );

  test('one dies: its partitions wait for it, the others go on; ends, topics and new publishers too', async () => {
    const publisher = await spread(5_000);
    const [, second] = started().nodes;
    await second?.kill();
    for (let seq = 2; seq < 5; seq++) {
      const [first, lost, third] = await tried(publisher, seq);
      expect([first?.told, third?.told]).toEqual([undefined, undefined]);
      expect(lost?.told).toMatchObject({
        code: 'broker_unavailable',
        message: expect.stringMatching(/^partition 1 of away_\w+\.order: /),
      });
      expect(lost?.ms).toBeLessThan(SOON_MS);
    }
    const ends = await Promise.all([0, 1, 2].map((shard) => took(publisher.tail(orders, shard))));
    expect(ends.map(({ told }) => told)).toMatchObject([
      { seq: 4 },
      { code: 'broker_unavailable' },
      { seq: 4 },
    ]);
    // kafkajs's own clients cannot do this while a partition has no leader.
    const totals = { kind: 'changes', log: 'totals.v1', projection: 'totals', version: 1 } as const;
    await publisher.ensure([orders, totals], 3);
    await publisher.publish(orders, 0, [outgoingEvent(0, 5)]);

    await second?.start();
    let told: unknown = 'not asked';
    for (const until = Date.now() + 60_000; told !== undefined && Date.now() < until;)
      told = (await took(publisher.publish(orders, 1, outgoingEvents(1, 2, 5)))).told;
    expect(told).toBeUndefined();
    expect(await publisher.tail(orders, 1)).toMatchObject({ seq: 5 });
  });

  test('one freezes: what it leads is given up in time, the others go on; it comes back', async () => {
    const publisher = await spread(5_000);
    const [, , third] = started().nodes;
    third?.pause();
    try {
      for (let seq = 2; seq < 4; seq++) {
        const [first, second, frozen] = await tried(publisher, seq);
        expect(first?.told).toBeUndefined();
        expect(second?.told).toBeUndefined();
        expect(frozen?.told).toMatchObject({ code: 'broker_unavailable' });
        expect(frozen?.ms).toBeLessThan(SOON_MS);
      }
    } finally {
      third?.resume();
    }
    let told: unknown = 'not asked';
    for (const until = Date.now() + 60_000; told !== undefined && Date.now() < until;)
      told = (await took(publisher.publish(orders, 2, outgoingEvents(2, 2, 3)))).told;
    expect(told).toBeUndefined();
    expect(await publisher.tail(orders, 2)).toMatchObject({ seq: 3 });
  });
});
