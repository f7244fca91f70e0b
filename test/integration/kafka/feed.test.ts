/** What only the Kafka feed meets: records that repeat, are missing, are of another time, or stop coming. */
import { Kafka, logLevel, type Producer } from 'kafkajs';
import { connect } from 'node:net';
import { afterAll, beforeAll, expect, it, onTestFinished } from 'vitest';
import type { KafkaFeedOptions } from '../../../src/broker/kafka/feed.js';
import { createLogger } from '../../../src/platform/logger.js';
import { readChanges } from '../../../src/projections/change-log.js';
import type { ChangeEntry } from '../../../src/projections/types.js';
import { gate } from '../../support/commands.js';
import { startFlakyProxy } from '../../support/flaky-proxy.js';
import { Counts, Following, upTo } from '../../support/following.js';
import { describeKafka, kafka, kafkaBrokers } from '../../support/kafka.js';
import { kafkaThings, testProducer, type KafkaThings } from '../../support/kafka/things.js';
import { LOG } from '../../support/things.js';

const WAIT = { timeout: 60_000, interval: 20 };

let producer: Producer;
beforeAll(async () => {
  producer = testProducer();
  await producer.connect();
});
afterAll(() => producer.disconnect());

interface Wanted {
  readonly topic?: boolean;
  /** Of shard 0, before anybody follows; no record tells of them. */
  readonly rows?: number;
  readonly by?: Producer;
  readonly options?: Partial<KafkaFeedOptions<ChangeEntry>>;
}

/** A log, one process that follows it, and no look at the heads but those that a test asks for. */
async function follow({ rows = 0, by = producer, options = {}, ...made }: Wanted = {}) {
  const world = await kafkaThings(by, made);
  const counts = new Counts();
  const following = new Following();
  const read = { rows: 0 };
  if (rows > 0) await world.append(0, rows);
  const process = await world.process(
    (parts) =>
      world.feed(parts, {
        observer: counts,
        read: async (log, shard, after, limit) => {
          const page = await readChanges(parts.db, log, shard, after, limit);
          read.rows += page.kind === 'entries' ? page.entries.length : 0;
          return page;
        },
        ...options,
      }),
    { probeMs: 60_000 },
  );
  await following.join(process.feed);
  onTestFinished(async () => {
    await following.leave();
    await process.stop();
    await world.end();
  });
  return { world, counts, following, process, read };
}

/** Resolves when what comes from Kafka is read: records of another epoch are dropped, and counted. */
async function listening(world: KafkaThings, counts: Counts, shard = 0): Promise<void> {
  const before = counts.foreign;
  await expect
    .poll(async () => {
      await world.send(shard, 1, 1, { epoch: 'another' }).catch(() => undefined);
      return counts.foreign;
    }, WAIT)
    .toBeGreaterThan(before);
}

describeKafka('the Kafka feed', () => {
  it('gives what Kafka gives; drops repeats and other epochs, and reads from Postgres what is missing', async () => {
    const { world, counts, following, process } = await follow();
    await listening(world, counts);
    const more = async (count: number): Promise<[first: number, last: number]> => {
      const head = await world.append(0, count);
      return [head + 1, head + count];
    };
    const [first, last] = await more(5);
    await world.send(0, first, last);
    await following.has(0, 5);
    expect(counts).toMatchObject({ repeats: 0, gaps: 0, tails: 0 });

    await world.send(0, 1, 5);
    await more(1);
    await world.send(0, 6, 6);
    await following.has(0, 6);
    expect(counts).toMatchObject({ repeats: 5, gaps: 0 });

    // 7 and 8 are never sent.
    await more(3);
    await world.send(0, 9, 9);
    await following.has(0, 9);
    expect(counts).toMatchObject({ repeats: 5, gaps: 1, tails: 0 });

    // 10 and 11 are never sent, and nothing follows them.
    await more(2);
    await process.probe.probe();
    expect(following.seqs.get(0)).toEqual(upTo(9));
    await process.probe.probe();
    await following.has(0, 11);
    expect(counts).toMatchObject({ gaps: 1, tails: 1 });

    // Until Kafka has kept up again, a hint is enough.
    await more(1);
    process.wakeups.hint(LOG, 0, 12);
    await following.has(0, 12);
    await more(1);
    await world.send(0, 13, 13);
    await following.has(0, 13);
    await more(1);
    process.wakeups.hint(LOG, 0, 14);
    await more(1);
    await world.send(0, 14, 15);
    await following.has(0, 15);
    expect(counts).toMatchObject({ gaps: 1, tails: 1 });
  });

  it('hands over nothing that Postgres does not have', async () => {
    const { world, counts, following } = await follow({ rows: 2 });
    await listening(world, counts);
    await following.has(0, 2);
    await world.send(0, 1, 4, { key: 'ghost' });
    await world.append(0, 1);
    await world.send(0, 3, 3);
    await following.has(0, 3);
    await world.append(0, 2);
    await world.send(0, 5, 5);
    await following.has(0, 5);
    expect(following.keys.get(0)?.slice(2)).toEqual(['k', 'k', 'k']);
  });

  it('is not led astray by a record that is far ahead of everything', async () => {
    const { world, counts, following } = await follow({ rows: 2 });
    await listening(world, counts);
    await following.has(0, 2);
    for (let seq = 3; seq <= 8; seq++) {
      await world.send(0, seq * 1_000_000, seq * 1_000_000);
      await world.append(0, 1);
      await world.send(0, seq, seq);
      await following.has(0, seq);
    }
    expect(counts).toMatchObject({ tails: 0 });
  });

  it('makes up a large lag from Postgres, and goes back to Kafka', async () => {
    const { world, counts, following, read } = await follow({ rows: 12_000 });
    await listening(world, counts);
    await following.has(0, 12_000);
    await world.append(0, 3);
    await world.send(0, 12_001, 12_003);
    await following.has(0, 12_003);
    expect(counts).toMatchObject({ lags: 1, gaps: 0, tails: 0 });
    expect(read.rows).toBe(12_000);
  });

  it('waits for a handler with a bounded inbox, holds up no other shard, and loses nothing', async () => {
    const { world, counts, following, read } = await follow();
    await listening(world, counts);
    const held = gate();
    const began = gate();
    following.before = async ([first]) => {
      if (first?.shard !== 0) return;
      began.open();
      await held.opened;
    };
    await world.append(0, 12_000);
    await world.send(0, 1, 1);
    await began.opened;
    for (let first = 2; first <= 12_000; first += 3_000)
      await world.send(0, first, Math.min(12_000, first + 2_999));
    await world.append(1, 1);
    await world.send(1, 1, 1);
    await following.has(1, 1);
    held.open();
    await following.has(0, 12_000);
    expect(counts).toMatchObject({ gaps: 0, repeats: 0, tails: 0 });
    expect(read.rows).toBe(0);
  });

  it('begins again where its reader says after it rejected, from Postgres', async () => {
    const { world, counts, following } = await follow();
    await listening(world, counts);
    let failing = true;
    following.before = () => {
      if (!failing) return;
      failing = false;
      // Of kafkajs’s own handlers, this would end the consumer.
      throw new TypeError('not today');
    };
    await world.append(0, 3);
    await world.send(0, 1, 3);
    await following.has(0, 3);
    await world.append(0, 1);
    await world.send(0, 4, 4);
    await following.has(0, 4);
    expect(counts).toMatchObject({ gaps: 0, tails: 0 });
  });

  it('goes on at the end of a partition that it did not read for a while', async () => {
    const { world, counts, following, process } = await follow({ options: { skipAfterMs: 0 } });
    await listening(world, counts, 1);
    await following.leave();
    const before = counts.foreign;
    // Another member keeps the consumer; its readers do not want shard 1 yet.
    let wanted = false;
    const open = (shard: number) =>
      Promise.resolve(
        shard === 1 && !wanted
          ? undefined
          : {
              after: later.seqs.get(shard)?.at(-1) ?? 0,
              handle: (entries: readonly ChangeEntry[]) => later.take(shard, entries),
              trimmed: () => undefined,
            },
      );
    const later = new Following();
    await later.join(process.feed, { open });
    onTestFinished(() => later.leave());
    await listening(world, counts, 0);
    const known = counts.foreign;
    expect(known).toBeGreaterThan(before);
    await world.append(1, 3);
    await world.send(1, 1, 3);
    for (let round = 0; round < 5; round++) await world.send(1, 1, 100, { epoch: 'another' });
    wanted = true;
    await later.has(1, 3);
    let sent = 0;
    await expect
      .poll(async () => {
        await world.send(1, 1, 1, { epoch: 'another' });
        sent++;
        return counts.foreign;
      }, WAIT)
      .toBeGreaterThan(known);
    // Of the five hundred from before none, whatever came while it was waited for.
    expect(counts.foreign - known).toBeLessThan(100 + sent);
    await world.append(1, 1);
    await world.send(1, 4, 4);
    await later.has(1, 4);
    expect(counts).toMatchObject({ gaps: 0, tails: 0, repeats: 0 });
  });

  it('follows a log into a new epoch', async () => {
    const { world, counts, following, process } = await follow();
    await listening(world, counts);
    await world.append(0, 2);
    await world.send(0, 1, 2);
    await following.has(0, 2);
    const opened = following.opened;
    await world.db.query(`UPDATE tidemark.shards SET epoch = 'next' WHERE log = $1`, [LOG]);
    await process.probe.probe();
    await expect.poll(() => following.opened).toBe(opened + 3);
    await world.append(0, 2);
    await world.send(0, 3, 3);
    await world.send(0, 3, 4, { epoch: 'next' });
    await following.has(0, 4);
    expect(counts).toMatchObject({ gaps: 0, tails: 0 });
  });

  it('begins again where its reader says when Postgres has gone back', async () => {
    const { world, counts, following, process } = await follow();
    await listening(world, counts);
    await world.append(0, 5);
    await world.send(0, 1, 5);
    await following.has(0, 5);
    await process.probe.probe();
    const opened = following.opened;
    await world.db.query(`DELETE FROM tidemark.changes WHERE log = $1 AND shard = 0 AND seq > 3`, [LOG]);
    following.seqs.set(0, upTo(3));
    await process.probe.probe();
    await expect.poll(() => following.opened).toBe(opened + 1);
    // Less than there was: whoever still stood at 5 would never hear of it.
    await world.db.query(
      `INSERT INTO tidemark.changes (log, shard, seq, slot, key, recorded_at) VALUES ($1, 0, 4, 0, 'other', now())`,
      [LOG],
    );
    await process.probe.probe();
    await process.probe.probe();
    await following.has(0, 4);
    expect(following.keys.get(0)?.at(-1)).toBe('other');
  });

  it('goes by Postgres while its topic is not there, and by Kafka once it is (again)', async () => {
    const by = testProducer();
    await by.connect();
    onTestFinished(() => by.disconnect());
    const { world, counts, following, process } = await follow({ topic: false, by });
    const hinted = async (last: number): Promise<void> => {
      await world.append(0, 1);
      await expect
        .poll(() => {
          process.wakeups.hint(LOG, 0, last);
          return following.seqs.get(0)?.at(-1);
        }, WAIT)
        .toBe(last);
    };
    await hinted(1);
    await world.createTopic();
    await listening(world, counts);
    await world.append(0, 1);
    await world.send(0, 2, 2);
    await following.has(0, 2);
    await kafka.deleteTopic(world.topic);
    await hinted(3);
    await world.createTopic();
    await listening(world, counts);
    await world.append(0, 1);
    await world.send(0, 4, 4);
    await following.has(0, 4);
  });

  it('goes by Postgres while the broker is away, and by Kafka when it is back', async () => {
    const proxy = await startFlakyProxy(`tcp://${kafkaBrokers[0]}`);
    const through = new Kafka({
      brokers: [new URL(proxy.url).host],
      logLevel: logLevel.NOTHING,
      retry: { initialRetryTime: 20, maxRetryTime: 100, retries: 2 },
      // Brokers tell where they are; here they are behind the proxy.
      socketFactory: ({ onConnect }) => connect(Number(new URL(proxy.url).port), '127.0.0.1', onConnect),
    });
    onTestFinished(() => proxy.stop());
    const said: string[] = [];
    const logger = createLogger({ level: 'info', destination: { write: (line) => void said.push(line) } });
    const { world, counts, following, process } = await follow({ options: { kafka: through, logger } });
    await listening(world, counts);
    for (let last = 1; last <= 3; last++) {
      // First it only stands still; then its connections are gone, and no other is to be had.
      proxy.mode = last === 1 ? 'hold-answers' : 'refuse';
      if (last === 2) proxy.cut();
      await world.append(0, 1);
      await expect
        .poll(() => {
          process.wakeups.hint(LOG, 0, last);
          return following.seqs.get(0)?.at(-1);
        }, WAIT)
        .toBe(last);
    }
    proxy.mode = 'pass';
    await world.send(0, 1, 3);
    await listening(world, counts);
    await world.append(0, 1);
    await world.send(0, 4, 4);
    await following.has(0, 4);
    expect(counts.replaced).toBeGreaterThan(0);
    const told = (): string[] => said.filter((line) => line.includes('records come from Kafka'));
    // However often it was tried: once when it begins, and once when it is over.
    await expect
      .poll(() =>
        told()
          .map((line) => line.slice(10, 14))
          .join(),
      )
      .toMatch(/^(warn,info,?)+$/);
  });
});
