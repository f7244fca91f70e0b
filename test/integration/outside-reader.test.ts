/**
 * Our topics as other teams read them, with tools that are not ours: kafkajs, the cloudevents package, kcat. What they see is
 * compared with what the application says of itself over HTTP.
 */
import { execFile, execFileSync } from 'node:child_process';
import { promisify } from 'node:util';
import { CloudEvent, Kafka } from 'cloudevents';
import { Partitioners } from 'kafkajs';
import { defineApp } from 'tidemark';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import orders from '../../examples/orders/app.js';
import { loadConfig } from '../../src/app/config.js';
import { createRuntime, type Runtime } from '../../src/app/runtime.js';
import { silentLogger } from '../../src/platform/logger.js';
import { describeKafka, kafka, kafkaBrokers, uniqueName } from '../support/kafka.js';
import type { KafkaRecord } from '../support/kafka/tools.js';
import { freshDatabase, type FreshDatabase } from '../support/postgres.js';

const SHARDS = 4;
const WAIT = { timeout: 60_000, interval: 50 };
const run = promisify(execFile);
const { aggregates, projections, queries } = orders;
const app = defineApp({
  auth: 'none',
  name: uniqueName('shop'),
  aggregates,
  projections,
  queries,
  shards: SHARDS,
});
const EVENTS = `${app.name}.order`;
const CHANGES = `${app.name}.order_summary.v1.changes`;
/** Ids of all kinds, as keys are hashed by their bytes. */
const IDS = [...Array.from({ length: 12 }, (_, index) => `o-${index}`), 'é', '日本', '🙂 a', 'x'.repeat(200)];

/** An event as the application tells it. */
interface Told {
  readonly eventId: string;
  readonly seq: number;
  readonly shard: number;
  readonly version: number;
  readonly type: string;
  readonly schemaVersion: number;
  readonly data: unknown;
  readonly tags: Readonly<Record<string, string>>;
  readonly metadata: Readonly<Record<string, string>>;
  readonly recordedAt: string;
}

const TRACEPARENT = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
let pg: FreshDatabase;
let runtime: Runtime;
/** By stream, what its last command answered. */
const tokens = new Map<string, string>();
const told = new Map<string, readonly Told[]>();
let events: readonly KafkaRecord[];
let changes: readonly KafkaRecord[];

async function send(id: string, command: string, payload: object): Promise<void> {
  const answer = await fetch(`${runtime.urls.http}/commands/order/${encodeURIComponent(id)}/${command}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', traceparent: TRACEPARENT },
    body: JSON.stringify(payload),
  });
  expect(answer.status).toBe(200);
  tokens.set(id, ((await answer.json()) as { token: string }).token);
}

async function rowOf(id: string): Promise<unknown> {
  const after = `&after=${tokens.get(id) ?? ''}`;
  const answer = await fetch(
    `${runtime.urls.http}/views/order_summary/${encodeURIComponent(id)}?wait=30000${after}`,
  );
  return answer.json();
}

async function eventsOf(id: string): Promise<readonly Told[]> {
  const answer = await fetch(`${runtime.urls.http}/streams/order/${encodeURIComponent(id)}`);
  const { items } = (await answer.json()) as { items: readonly Told[] };
  return items;
}

/** All records, once they are what they must be. */
const read = (topic: string, complete: (records: readonly KafkaRecord[]) => void) =>
  vi.waitFor(async () => {
    const records = await kafka.readAll(topic);
    complete(records);
    return records;
  }, WAIT);

/** What Kafka's own rule says, as kafkajs has it. */
const partitionOf = (key: string): number =>
  Partitioners.DefaultPartitioner()({
    topic: EVENTS,
    partitionMetadata: Array.from({ length: SHARDS }, (_, partitionId) => ({
      partitionId,
      leader: 1,
      partitionErrorCode: 0,
      replicas: [],
      isr: [],
      offlineReplicas: [],
    })),
    message: { key, value: '' },
  });

/** As the cloudevents package understands a record. */
function cloudEvent({ key, value, headers }: KafkaRecord): CloudEvent<unknown> {
  const message = { key: key ?? '', value, headers, body: value };
  const event = Kafka.toEvent<unknown>(message);
  if (!(event instanceof CloudEvent)) throw new Error('expected one event');
  return event;
}

const kcat = ((): boolean => {
  try {
    execFileSync('kcat', ['-V'], { stdio: 'ignore' });
    return true;
  } catch {
    console.warn('outside-reader: kcat is not installed (apt-get install kcat); what it sees is not tested');
    return false;
  }
})();

describeKafka('other teams', () => {
  beforeAll(async () => {
    pg = await freshDatabase();
    const config = loadConfig({
      DATABASE_URL: pg.url,
      KAFKA_BROKERS: kafkaBrokers.join(','),
      PORT: '0',
      REALTIME_PORT: '0',
    });
    runtime = createRuntime(app, config, { logger: silentLogger });
    await runtime.start();
    const lines = [{ sku: 'tea', quantity: 2, unitPriceCents: 450 }];
    for (const [index, id] of IDS.entries()) {
      await send(id, 'place', { customerId: `c-${index % 3}`, lines });
      if (index % 2 === 0) await send(id, 'pay', { paymentId: `p-${index}` });
    }
    for (const id of IDS) told.set(id, await eventsOf(id));
    events = await read(EVENTS, (records) => expect(records).toHaveLength([...told.values()].flat().length));
    // Events that were folded together make one change.
    const rows = new Map(await Promise.all(IDS.map(async (id) => [id, await rowOf(id)] as const)));
    changes = await read(CHANGES, (records) =>
      expect(new Map(records.map(({ key, value }) => [key, JSON.parse(value ?? '') as unknown]))).toEqual(
        rows,
      ),
    );
  });

  afterAll(async () => {
    await runtime?.stop();
    await pg?.drop();
  });

  test('see every event as a valid CloudEvent with all its attributes', () => {
    for (const record of events) {
      const event = cloudEvent(record);
      expect(event.validate()).toBe(true);
      const id = event.subject ?? '';
      const known = told.get(id)?.find(({ eventId }) => eventId === event.id);
      if (!known) throw new Error(`an event that the application does not know: ${event.id}`);
      const { metadata } = known;
      const { data, ...attributes } = event.toJSON() as Record<string, unknown>;
      expect(data).toEqual(known.data);
      expect(attributes).toEqual({
        id: known.eventId,
        specversion: '1.0',
        source: `/${app.name}/order`,
        type: `order.${known.type}`,
        subject: id,
        time: known.recordedAt,
        datacontenttype: 'application/json',
        partitionkey: id,
        seq: String(known.seq),
        epoch: expect.stringMatching(/^[0-9a-z]+$/),
        streamversion: String(known.version),
        schemaversion: String(known.schemaVersion),
        correlationid: metadata['correlationId'],
        causationid: metadata['causationId'],
        actor: metadata['actor'],
        traceparent: expect.stringContaining(TRACEPARENT.slice(0, 35)),
        tags: JSON.stringify(known.tags),
      });
      expect(record.partition).toBe(known.shard);
    }
    expect(new Set(events.map(({ headers }) => headers['ce_id'])).size).toBe(events.length);
  });

  test.each([
    ['events', () => events],
    ['changes', () => changes],
  ])('find %s where Kafka’s own partitioner looks for them, in order and without a hole', (_what, of) => {
    const last = new Map<number, number>();
    for (const { key, partition, headers } of of()) {
      expect(key).toBe(headers['ce_partitionkey']);
      expect(key).toBe(headers['ce_subject']);
      expect(partition).toBe(partitionOf(key ?? ''));
      const seq = Number(headers['ce_seq']);
      expect(seq).toBe((last.get(partition) ?? 0) + 1);
      last.set(partition, seq);
    }
    expect(last.size).toBe(SHARDS);
  });

  test('see every change as a CloudEvent: the row as HTTP gives it, and what its channels were', async () => {
    const rows = new Map<string, unknown>();
    const before = new Map<string, object>();
    for (const record of changes) {
      const event = cloudEvent(record);
      expect(event.validate()).toBe(true);
      const { subject = '', data } = event;
      expect(event).toMatchObject({
        source: `/${app.name}/order_summary`,
        type: 'order_summary.changed',
        id: expect.stringMatching(new RegExp(`/${record.partition}/${record.headers['ce_seq']}$`)),
      });
      // Nothing before the first change of a row.
      const channels = record.headers['ce_beforechannels'];
      expect(channels === undefined ? undefined : JSON.parse(channels)).toEqual(before.get(subject));
      rows.set(subject, data);
      const { customerId, status } = data as { customerId: string; status: string };
      before.set(subject, { customerId, status });
    }
    for (const id of IDS) expect(rows.get(id)).toEqual(await rowOf(id));
  });

  test.skipIf(!kcat)('see the same with kcat', async () => {
    const args = ['-b', kafkaBrokers.join(','), '-C', '-t', EVENTS, '-o', 'beginning', '-e', '-q', '-J'];
    const { stdout } = await run('kcat', args, { maxBuffer: 16 * 1024 * 1024 });
    const seen = stdout
      .trim()
      .split('\n')
      .map((line) => {
        const { partition, offset, key, payload, headers } = JSON.parse(line) as {
          partition: number;
          offset: number;
          key: string;
          payload: string;
          headers: string[];
        };
        const pairs = headers.flatMap((name, at) => (at % 2 === 0 ? [[name, headers[at + 1]]] : []));
        return { partition, offset, key, value: payload, headers: Object.fromEntries(pairs) as object };
      })
      .toSorted((a, b) => a.partition - b.partition || a.offset - b.offset);
    expect(seen).toEqual(events.map(({ timestamp: _timestamp, ...rest }) => rest));
  });
});
