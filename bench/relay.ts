/**
 * `npm run bench -- relay [--json] [--quick]`: events that wait in Postgres are taken to a real Kafka by the relay, all of them; beside
 * it, in the same turns, the same records by a bare kafkajs producer that has them in memory already: 500 a send, acknowledged
 * by all replicas, one send at a time, and several producers side by side. KAFKA_BROKERS, or a broker of its own.
 */
import { randomBytes } from 'node:crypto';
import { parseArgs } from 'node:util';
import pg from 'pg';
import { startTemporaryPostgres } from '../src/app/embedded/temporary.js';
import { KafkaPublisher } from '../src/broker/kafka/publisher.js';
import { encodeEntry } from '../src/broker/kafka/records.js';
import type { KafkaSettings } from '../src/broker/kafka/settings.js';
import { PostgresFeed } from '../src/broker/postgres/feed.js';
import { readRawShard } from '../src/event-store/raw-reads.js';
import { Relay } from '../src/outbox/relay.js';
import type { RelayEntry } from '../src/outbox/types.js';
import { HeadProbe } from '../src/platform/head-probe.js';
import { silentLogger as logger } from '../src/platform/logger.js';
import { Database } from '../src/platform/postgres/database.js';
import { Leases } from '../src/platform/postgres/leases.js';
import { ensureLog } from '../src/platform/postgres/logs.js';
import { migrate } from '../src/platform/postgres/migrate.js';
import { Wakeups } from '../src/platform/wakeups.js';
import { sharedKafka } from '../test/support/kafka/shared.js';
import { seed, SHARDS } from './projection/workload.js';
import { bareKafka, newTopic } from './support/bare-kafka.js';
import { postgresCpuMs, postmasterOf, processCpuMs } from './support/cpu.js';
import { median, report, type Run, type Sample } from './support/report.js';

const { values: flags } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    quick: { type: 'boolean', default: false },
    events: { type: 'string' },
    repeats: { type: 'string' },
  },
});
const EVENTS = Number(flags.events ?? (flags.quick ? 50_000 : 300_000));
const REPEATS = Number(flags.repeats ?? (flags.quick ? 2 : 5));
const SEND = 500;
const PRODUCERS = 4;
const LOG = { kind: 'events', log: 'order' } as const;

const kafka = await sharedKafka();
if (kafka.brokers.length === 0) throw new Error('there is no Kafka to measure with');
const settings: KafkaSettings = {
  brokers: kafka.brokers,
  tls: false,
  sasl: undefined,
  replication: 1,
  clientId: 'bench',
};
const server = await startTemporaryPostgres();
const open = (role: string, max: number): Database =>
  new Database({ connectionString: server.url, schema: 'tidemark', role, logger, max });
const db = open('relay', 6);
const pulse = open('leases', 1);

async function postmaster(): Promise<number> {
  const admin = new pg.Client({ connectionString: server.url });
  await admin.connect();
  const { rows } = await admin.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
  await admin.end();
  return postmasterOf(rows[0]?.pid ?? 0) ?? 0;
}

/** CPU and time of a work that sends all events. */
async function measured(root: number, work: () => Promise<void>): Promise<Sample> {
  const before = { at: performance.now(), own: processCpuMs(), postgres: postgresCpuMs(root) };
  await work();
  const seconds = (performance.now() - before.at) / 1000;
  const thousands = EVENTS / 1000;
  return {
    perSecond: EVENTS / seconds,
    processCpu: (processCpuMs() - before.own) / thousands,
    postgresCpu: (postgresCpuMs(root) - before.postgres) / thousands,
  };
}

/** The relay, from cursors at the beginning to cursors at the heads, into topics of an application of its own. */
async function relayed(root: number): Promise<Sample> {
  await db.query('DELETE FROM tidemark.relay_cursors');
  const app = `bench_${randomBytes(6).toString('hex')}`;
  const publisher = new KafkaPublisher({ settings, app, logger });
  const wakeups = new Wakeups();
  const leases = new Leases({ db: pulse, logger, beatMs: 100 });
  const probe = new HeadProbe({ db, wakeups, logger, logs: { events: ['order'], changes: [] } });
  const feed = new PostgresFeed<RelayEntry>({
    read: (log, shard, after, limit) => readRawShard(db, log, shard, after, limit),
    wakeups,
    leases,
    logger,
  });
  let sent = 0;
  let done: () => void = () => undefined;
  const all = new Promise<void>((resolve) => (done = resolve));
  const relay = new Relay({
    logs: [LOG],
    shards: SHARDS,
    db,
    feed,
    leases,
    publisher,
    inspector: publisher,
    probe,
    logger,
    observer: {
      sent({ entries }) {
        sent += entries;
        if (sent >= EVENTS) done();
      },
      again: () => undefined,
      skipped: () => undefined,
      failed: ({ code }) => console.error(`the relay failed: ${code}`),
      fenced: () => undefined,
    },
  });
  await publisher.ensure([LOG], SHARDS);
  const sample = await measured(root, async () => {
    await leases.start();
    await probe.start();
    await relay.start();
    await all;
  });
  await relay.stop();
  await probe.stop();
  await leases.stop();
  await publisher.stop();
  return sample;
}

interface Message {
  readonly key: string | Buffer | null;
  readonly value: string | Buffer | null;
  readonly headers: Record<string, string | Buffer>;
  readonly partition: number;
}

/** All records, as the relay would send them, by partition. */
async function records(): Promise<Message[][]> {
  const partitions: Message[][] = [];
  for (let shard = 0; shard < SHARDS; shard++) {
    const messages: Message[] = [];
    for (;;) {
      const page = await readRawShard(db, 'order', shard, messages.length, 2_000);
      if (page.kind === 'trimmed' || page.entries.length === 0) break;
      for (const entry of page.entries) {
        const { key, value, headers } = encodeEntry('bench', entry);
        messages.push({ key, value, headers: { ...headers }, partition: shard });
      }
    }
    partitions.push(messages);
  }
  return partitions;
}

/** Producers side by side, each with one send of one partition at a time. */
async function bare(root: number, partitions: readonly Message[][], producers: number): Promise<Sample> {
  const client = bareKafka(kafka.brokers);
  const topic = await newTopic(client, SHARDS);
  const all = Array.from({ length: producers }, () => client.producer());
  await Promise.all(all.map((producer) => producer.connect()));
  const sample = await measured(root, async () => {
    await Promise.all(
      all.map(async (producer, own) => {
        const mine = partitions.filter((_, partition) => partition % producers === own);
        const longest = Math.max(...mine.map(({ length }) => length));
        for (let from = 0; from < longest; from += SEND) {
          for (const messages of mine) {
            const batch = messages.slice(from, from + SEND);
            if (batch.length > 0) await producer.send({ topic, acks: -1, messages: batch });
          }
        }
      }),
    );
  });
  await Promise.all(all.map((producer) => producer.disconnect()));
  const admin = client.admin();
  await admin.connect();
  await admin.deleteTopics({ topics: [topic] });
  await admin.disconnect();
  return sample;
}

try {
  await migrate(db);
  await ensureLog(db, 'order', SHARDS);
  await seed(server.url, 'tidemark', EVENTS);
  const root = await postmaster();
  const messages = await records();
  const subjects: Record<string, () => Promise<Sample>> = {
    tidemark: () => relayed(root),
    'bare kafkajs': () => bare(root, messages, 1),
    [`bare kafkajs ×${PRODUCERS}`]: () => bare(root, messages, PRODUCERS),
  };
  const runs: (Run & { samples: Sample[] })[] = Object.keys(subjects).map((subject) => ({
    subject,
    params: { events: EVENTS, shards: SHARDS },
    samples: [],
  }));
  // One turn of each before, so that nobody pays for what is only warm later.
  for (let repeat = -1; repeat < REPEATS; repeat++) {
    for (const run of runs) {
      const sample = await subjects[run.subject]?.();
      if (sample && repeat >= 0) run.samples.push(sample);
    }
  }
  const [tidemark, ...peers] = runs;
  const ratios = peers.map(({ subject, samples }) => ({
    name: `tidemark/${subject} perSecond events=${EVENTS}`,
    value: median(
      samples.map(({ perSecond }, at) => (tidemark?.samples[at]?.perSecond ?? Number.NaN) / perSecond),
    ),
  }));
  const [version] = await db.query<[string]>(`SELECT current_setting('server_version')`);
  report({ bench: 'relay', postgres: version?.[0] ?? 'unknown', runs, ratios, json: flags.json });
} catch (error) {
  console.error(error);
  process.exitCode = 1;
} finally {
  await Promise.all([db.end(), pulse.end()]);
  await server.stop();
  await kafka.stop();
}
