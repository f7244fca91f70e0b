/** Where Kafka and Postgres do not agree: who is right, what is sent again, and what a person has to mend. */
import { afterEach, beforeEach, expect, it } from 'vitest';
import { inspectLogs, isDiverged } from '../../../src/outbox/mending/inspect.js';
import { mendLogs } from '../../../src/outbox/mending/mend.js';
import { SELECT_SERVER } from '../../../src/outbox/statements.js';
import { createLogger } from '../../../src/platform/logger.js';
import { describeKafka, kafka, uniqueName } from '../../support/kafka.js';
import { freshDatabase, type FreshDatabase } from '../../support/postgres.js';
import { append } from '../../support/projecting.js';
import {
  allSeqs,
  cursors,
  EVENTS,
  heads,
  LOG,
  relayed,
  seqsInKafka,
  startRelaying,
  type RelayingOptions,
  type RelayingProcess,
} from '../../support/relaying.js';

const SHARDS = 3;

let pg: FreshDatabase;
let app = '';
let processes: RelayingProcess[] = [];

const start = async (options: RelayingOptions = {}): Promise<RelayingProcess> => {
  const process = await startRelaying(pg.url, app, { shards: SHARDS, ...options });
  processes.push(process);
  return process;
};

beforeEach(async () => {
  pg = await freshDatabase();
  app = uniqueName('relay');
  processes = [];
});
afterEach(async () => {
  await Promise.all(processes.map((process) => process.stop()));
  await pg.drop();
});

const topic = () => `${app}.${LOG}`;
const write = async ({ store }: RelayingProcess, streams: number, text = 'x'): Promise<void> => {
  const event = { type: 'Noted', data: { text } };
  await Promise.all(Array.from({ length: streams }, (_, n) => append(store, LOG, `a-${n}`, [event])));
};

/** The database is what it was when the shards ended there: events, and the cursors of that time. */
async function restore({ db }: RelayingProcess, back: number): Promise<void> {
  await db.query(
    `DELETE FROM tidemark.events e USING (SELECT shard, max(seq) AS head FROM tidemark.events GROUP BY shard) h
     WHERE e.shard = h.shard AND e.seq > h.head - $1::int`,
    [back],
  );
  await db.query(
    `UPDATE tidemark.relay_cursors c SET seq = coalesce((SELECT max(e.seq) FROM tidemark.events e WHERE e.shard = c.shard), 0)`,
  );
}

const mend = async ({ db, publisher }: RelayingProcess) => {
  const findings = await inspectLogs({ db, kafka: publisher, logs: [EVENTS], shards: SHARDS });
  const parted = findings.filter(isDiverged);
  await mendLogs(db, parted, () => Promise.resolve(new Map()));
  return parted;
};

/** Of each partition the records of the newest epoch, and the seqs before them. */
async function lives(): Promise<Map<number, string[]>> {
  const found = new Map<number, string[]>();
  for (const { partition, headers } of await kafka.readAll(topic())) {
    const list = found.get(partition) ?? [];
    found.set(partition, list);
    list.push(`${headers['ce_epoch']}/${headers['ce_seq']}`);
  }
  return found;
}

describeKafka('Kafka has less', () => {
  it('a topic that was made again gets everything', async () => {
    const one = await start();
    await write(one, 12);
    await relayed(one);
    await one.stop();
    await kafka.deleteTopic(topic());
    const two = await start();
    await expect.poll(() => two.counts.again, { timeout: 60_000 }).toBe(12);
    await expect.poll(() => two.counts.sent, { timeout: 60_000 }).toBe(12);
    expect(await seqsInKafka(topic())).toEqual(allSeqs(await heads(two.db)));
  });

  it('a topic that was made again under a running relay gets everything too', async () => {
    const one = await start();
    await write(one, 12);
    await relayed(one);
    await kafka.deleteTopic(topic());
    await kafka.createTopic(topic(), { partitions: SHARDS });
    await write(one, 12);
    const whole = allSeqs(await heads(one.db));
    await expect
      .poll(
        async () => [...(await seqsInKafka(topic()))].map(([shard, seqs]) => [shard, new Set(seqs).size]),
        {
          timeout: 60_000,
        },
      )
      .toEqual([...whole].map(([shard, seqs]) => [shard, seqs.length]));
    await relayed(one);
    // In order, but for the step back where it was found.
    for (const [shard, seqs] of await seqsInKafka(topic()))
      expect(seqs.slice(-(whole.get(shard)?.length ?? 0))).toEqual(whole.get(shard));
  });

  it('records that retention removed are not missed', async () => {
    const one = await start();
    await write(one, 12);
    await relayed(one);
    await one.stop();
    await kafka.withAdmin(async (admin) => {
      const offsets = await admin.fetchTopicOffsets(topic());
      await admin.deleteTopicRecords({
        topic: topic(),
        partitions: offsets.map(({ partition, high }) => ({ partition, offset: high })),
      });
    });
    const two = await start();
    await write(two, 12);
    await relayed(two);
    expect(two.counts).toMatchObject({ sent: 12, again: 0 });
  });
});

describeKafka('Kafka has more', () => {
  it('a restored database stops the log, until its shards begin a new epoch at the forks', async () => {
    const one = await start();
    await write(one, 30);
    await write(one, 30);
    await relayed(one);
    await one.stop();
    const two = await start({ idle: true });
    const before = await heads(two.db);
    await restore(two, 3);
    const forks = await heads(two.db);
    await two.relay.start();
    await expect.poll(() => two.relay.diverged.has(LOG), { timeout: 60_000 }).toBe(true);
    expect(two.relay.concerns.join()).toMatch(
      /relay: log_diverged: log account, shard \d: Kafka ends with seq \d+, and Postgres with \d+\. .*--new-epoch/,
    );
    // Also once Postgres has as many again, which are others.
    await write(two, 30, 'another');
    await write(two, 30, 'another');
    expect(two.counts.sent).toBe(0);
    await expect
      .poll(() => two.relay.concerns.join())
      .toMatch(/Kafka has [0-9a-f-]+, and Postgres [0-9a-f-]+/);

    const parted = await mend(two);
    expect(parted.map(({ log }) => log.log)).toEqual([LOG]);
    for (const { shard, fork } of parted[0]?.shards ?? []) expect(fork).toBe(forks.get(shard) ?? 0);
    await relayed(two);
    await expect.poll(() => two.relay.diverged.size).toBe(0);
    const now = await heads(two.db);
    const [epoch] = (await two.db.query<[string]>('SELECT DISTINCT epoch FROM tidemark.shards')).flat();
    for (const [shard, records] of await lives()) {
      const fresh = records.filter((record) => record.startsWith(`${epoch}/`));
      const [fork = 0, head = 0] = [forks.get(shard), now.get(shard)];
      expect(records).toHaveLength((before.get(shard) ?? 0) + head - fork);
      expect(fresh).toEqual(Array.from({ length: head - fork }, (_, n) => `${epoch}/${fork + n + 1}`));
    }
    // And it stays so.
    await two.stop();
    const three = await start();
    await write(three, 9);
    await relayed(three);
    expect(three.counts).toMatchObject({ sent: 9, again: 0 });
  });

  it('a database that was restored under a running relay is found out before anything of it is sent', async () => {
    const one = await start();
    await write(one, 30);
    await relayed(one);
    await restore(one, 2);
    await write(one, 60, 'another');
    await expect.poll(() => one.relay.diverged.has(LOG), { timeout: 60_000 }).toBe(true);
    expect(one.counts.sent).toBe(30);
    await mend(one);
    await relayed(one);
    expect(one.counts.sent).toBeGreaterThan(60);
  });

  it('compares all logs again when the server is another one, or on another timeline', async () => {
    const lines: string[] = [];
    const logger = createLogger({ level: 'warn', destination: { write: (line) => void lines.push(line) } });
    // Nobody says a word but for this: leases that a slow machine loses would be told of, too.
    const one = await start({ logger, ttlMs: 60_000 });
    await write(one, 9);
    await relayed(one);
    const server = () =>
      one.db.query<[string, string]>('SELECT system_identifier, timeline FROM tidemark.relay_state');
    await expect.poll(server).toEqual([[expect.stringMatching(/^\d{10,}$/), '00000001']]);
    await one.stop();
    expect(lines).toEqual([]);
    const two = await start({ idle: true, logger, ttlMs: 60_000 });
    await two.db.query(`UPDATE tidemark.relay_state SET timeline = '00000007'`);
    await two.relay.start();
    await expect.poll(() => lines.join()).toMatch(/another timeline/);
    await write(two, 9);
    await relayed(two);
    expect(two.counts).toMatchObject({ sent: 9, again: 0, failed: [] });
  });

  it('asks nothing of the server that a plain role may not know', async () => {
    const { db } = await start({ idle: true });
    await db.query(`CREATE ROLE plain_${app} NOLOGIN`);
    try {
      const rows = await db.transaction(async (tx) => {
        await tx.query(`SET LOCAL ROLE plain_${app}`);
        return tx.query(SELECT_SERVER);
      });
      expect(rows).toHaveLength(1);
    } finally {
      await db.query(`DROP ROLE plain_${app}`);
    }
  });

  it('a topic of another database is a stranger’s', async () => {
    const one = await start();
    await write(one, 9);
    await relayed(one);
    await one.stop();
    await pg.drop();
    pg = await freshDatabase();
    const two = await start();
    await write(two, 3);
    await expect
      .poll(() => two.relay.concerns.join(), { timeout: 60_000 })
      .toMatch(/which this database never had/);
    expect(two.counts.sent).toBe(0);
    const [parted] = await mend(two);
    expect(parted?.shards.map(({ fork }) => fork)).toEqual([0, 0, 0]);
    await relayed(two);
    expect(two.counts.sent).toBe(3);
    expect(await cursors(two.db)).toEqual(await heads(two.db));
  });
});
