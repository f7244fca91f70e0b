/** The relay of one process on a real Postgres and a real Kafka; several on one database are several processes. */
import { KafkaPublisher } from '../../src/broker/kafka/publisher.js';
import type { Publisher } from '../../src/broker/ports.js';
import { PostgresFeed } from '../../src/broker/postgres/feed.js';
import { readRawShard } from '../../src/event-store/raw-reads.js';
import { PostgresEventStore } from '../../src/event-store/store.js';
import { Relay, type RelayOptions } from '../../src/outbox/relay.js';
import { Told, type RelayEntry, type RelayObserver } from '../../src/outbox/types.js';
import { HeadProbe } from '../../src/platform/head-probe.js';
import { silentLogger, type Logger } from '../../src/platform/logger.js';
import { Database } from '../../src/platform/postgres/database.js';
import { Leases } from '../../src/platform/postgres/leases.js';
import { readHeads } from '../../src/platform/postgres/logs.js';
import { migrate } from '../../src/platform/postgres/migrate.js';
import { Wakeups } from '../../src/platform/wakeups.js';
import { expect } from 'vitest';
import { kafka, kafkaBrokers } from './kafka.js';

export const LOG = 'account';
export const EVENTS = { kind: 'events', log: LOG } as const;

export interface RelayCounts {
  sent: number;
  again: number;
  skipped: number;
  fenced: number;
  failed: string[];
}

export interface RelayingProcess {
  readonly db: Database;
  readonly store: PostgresEventStore;
  readonly leases: Leases;
  readonly probe: HeadProbe;
  readonly relay: Relay;
  readonly publisher: KafkaPublisher;
  readonly counts: RelayCounts;
  stop(): Promise<void>;
}

export interface RelayingOptions {
  readonly shards?: number;
  readonly logger?: Logger;
  readonly brokers?: readonly string[];
  readonly beatMs?: number;
  readonly ttlMs?: number;
  /** Stands between the relay and Kafka. */
  readonly publisher?: (real: KafkaPublisher) => Publisher;
  readonly limits?: RelayOptions['limits'];
  /** The relay is made and not started. */
  readonly idle?: boolean;
}

function counting(counts: RelayCounts): RelayObserver {
  return {
    sent: ({ entries }) => (counts.sent += entries),
    again: ({ entries }) => (counts.again += entries),
    skipped: ({ entries }) => (counts.skipped += entries),
    fenced: () => counts.fenced++,
    failed: ({ code }) => counts.failed.push(code),
  };
}

/** @param app with which the topics begin */
export async function startRelaying(
  url: string,
  app: string,
  options: RelayingOptions = {},
): Promise<RelayingProcess> {
  const { shards = 4, logger = silentLogger, beatMs = 50, ttlMs = 2_000, brokers = kafkaBrokers } = options;
  const open = (role: string, max: number): Database =>
    new Database({ connectionString: url, schema: 'tidemark', role, logger, max });
  const [db, pulse] = [open('relay', 6), open('leases', 1)];
  await migrate(db);
  const wakeups = new Wakeups();
  const store = new PostgresEventStore({
    database: db,
    categories: [LOG],
    shards,
    announcer: wakeups,
    logger,
  });
  await store.start();
  const leases = new Leases({ db: pulse, logger, beatMs, ttlMs });
  const logs = { events: [LOG], changes: [] };
  const probe = new HeadProbe({ db, wakeups, logger, intervalMs: beatMs, logs });
  const settings = { brokers, tls: false, sasl: undefined, replication: undefined, clientId: app };
  const publisher = new KafkaPublisher({ settings, app, logger });
  const counts: RelayCounts = { sent: 0, again: 0, skipped: 0, fenced: 0, failed: [] };
  const read = (log: string, shard: number, after: number, limit: number) =>
    readRawShard(db, log, shard, after, limit);
  const told = (error: unknown) => error instanceof Told;
  const relay = new Relay({
    logs: [EVENTS],
    shards,
    db,
    feed: new PostgresFeed<RelayEntry>({ read, wakeups, leases, logger, told }),
    leases,
    publisher: options.publisher?.(publisher) ?? publisher,
    inspector: publisher,
    probe,
    logger,
    lookMs: beatMs,
    observer: counting(counts),
    ...(options.limits && { limits: options.limits }),
  });
  await leases.start();
  await probe.start();
  if (!options.idle) await relay.start();
  let stopping: Promise<void> | undefined;
  return {
    db,
    store,
    leases,
    probe,
    relay,
    publisher,
    counts,
    stop: () =>
      (stopping ??= (async () => {
        await relay.stop();
        await leases.stop();
        await probe.stop();
        await store.stop();
        await publisher.stop();
        await Promise.all([db.end(), pulse.end()]);
      })()),
  };
}

/** Partition → seqs of the records of a log, in their order. */
export async function seqsInKafka(topic: string): Promise<Map<number, number[]>> {
  const seqs = new Map<number, number[]>();
  for (const { partition, headers } of await kafka.readAll(topic)) {
    const list = seqs.get(partition) ?? [];
    seqs.set(partition, list);
    list.push(Number(headers['ce_seq']));
  }
  return seqs;
}

/** Shard → head, of those that have an event. */
export async function heads(db: Database): Promise<Map<number, number>> {
  const all = await readHeads(db, { events: [LOG], changes: [] });
  return new Map(all.flatMap(({ shard, head }) => (head > 0 ? [[shard, head] as const] : [])));
}

/** Shard → cursor. */
export async function cursors(db: Database): Promise<Map<number, number>> {
  const rows = await db.query<[number, number]>(
    `SELECT shard, seq FROM tidemark.relay_cursors WHERE log = $1 AND seq > 0 ORDER BY shard`,
    [LOG],
  );
  return new Map(rows);
}

/** What all partitions of a log hold once everything was sent once. */
export const allSeqs = (headOf: ReadonlyMap<number, number>): Map<number, number[]> =>
  new Map([...headOf].map(([shard, head]) => [shard, Array.from({ length: head }, (_, n) => n + 1)]));

/** Resolves when the cursors are at the heads. */
export const relayed = ({ db }: RelayingProcess): Promise<void> =>
  expect
    .poll(
      async () =>
        JSON.stringify([...(await cursors(db))]) ===
        JSON.stringify([...(await heads(db))].sort(([a], [b]) => a - b)),
      {
        timeout: 60_000,
      },
    )
    .toBe(true)
    .then();
