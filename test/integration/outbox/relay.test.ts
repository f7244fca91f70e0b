/** The relay on a real Postgres and a real Kafka: order, completeness, and who sends. */
import { afterEach, beforeEach, expect, it } from 'vitest';
import { TidemarkError } from '../../../src/platform/errors.js';
import { createLogger } from '../../../src/platform/logger.js';
import { describeKafka, kafka, uniqueName } from '../../support/kafka.js';
import { freshDatabase, type FreshDatabase } from '../../support/postgres.js';
import { append } from '../../support/projecting.js';
import {
  allSeqs,
  cursors,
  heads,
  LOG,
  relayed,
  seqsInKafka,
  startRelaying,
  type RelayingOptions,
  type RelayingProcess,
} from '../../support/relaying.js';

let pg: FreshDatabase;
let app = '';
let processes: RelayingProcess[] = [];

const start = async (options: RelayingOptions = {}): Promise<RelayingProcess> => {
  const process = await startRelaying(pg.url, app, options);
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

const noted = (text: string) => ({ type: 'Noted', data: { text } });
const topic = () => `${app}.${LOG}`;
async function appendMany({ store }: RelayingProcess, streams: number, each = 1): Promise<void> {
  const writes = Array.from({ length: streams }, (_, n) =>
    append(
      store,
      LOG,
      `a-${n}`,
      Array.from({ length: each }, (__, i) => noted(`${n}/${i}`)),
    ),
  );
  await Promise.all(writes);
}

describeKafka('the relay', () => {
  it('sends every event once, in order, to the partition of its shard', async () => {
    const one = await start({ limits: { maxBytes: 900_000, maxEntries: 7 } });
    await appendMany(one, 40, 3);
    await relayed(one);
    await appendMany(one, 40);
    await relayed(one);
    expect(await seqsInKafka(topic())).toEqual(allSeqs(await heads(one.db)));
    expect(one.counts).toMatchObject({ sent: 160, again: 0, fenced: 0, failed: [] });
    const [first] = await kafka.readAll(topic());
    expect(first?.headers).toMatchObject({
      ce_source: `/${app}/${LOG}`,
      ce_type: `${LOG}.Noted`,
      ce_seq: '1',
    });
    expect(JSON.parse(first?.value ?? '')).toEqual({ text: expect.any(String) });
  });

  it('shares the shards with others, and each sends its own', async () => {
    const one = await start();
    const two = await start();
    await expect
      .poll(() => [one, two].map(({ relay }) => relay.shardsOf(LOG)), { timeout: 60_000 })
      .toEqual([2, 2]);
    await appendMany(one, 40, 2);
    await relayed(one);
    expect(await seqsInKafka(topic())).toEqual(allSeqs(await heads(one.db)));
    expect(one.counts.sent + two.counts.sent).toBe(80);
    expect(Math.min(one.counts.sent, two.counts.sent)).toBeGreaterThan(0);
    await one.relay.stop();
    await appendMany(one, 40);
    await relayed(two);
    expect(await seqsInKafka(topic())).toEqual(allSeqs(await heads(two.db)));
  });

  it('holds a zombie back: it sends nothing more, and moves no cursor', async () => {
    let release = (): void => undefined;
    const frozen = new Promise<void>((resolve) => (release = resolve));
    let reached = false;
    // Stands still between the read and the send, and learns nothing of what its leases have come to.
    const zombie = await start({
      beatMs: 600_000,
      ttlMs: 400,
      publisher: (real) => ({
        ensure: (...given) => real.ensure(...given),
        tail: (...given) => real.tail(...given),
        async publish(...given) {
          reached = true;
          await frozen;
          return real.publish(...given);
        },
      }),
    });
    await append(zombie.store, LOG, 'a-1', [noted('1'), noted('2')]);
    await expect.poll(() => reached).toBe(true);
    const other = await start();
    await relayed(other);
    await append(zombie.store, LOG, 'a-1', [noted('3')]);
    await relayed(other);
    const before = await cursors(other.db);
    release();
    await expect.poll(() => zombie.counts.fenced).toBeGreaterThan(0);
    expect(await seqsInKafka(topic())).toEqual(allSeqs(await heads(other.db)));
    expect(await cursors(other.db)).toEqual(before);
    expect(zombie.counts.sent).toBe(0);
  });

  it('killed between send and cursor: nothing is lost, and what Kafka has is not sent again', async () => {
    const one = await start();
    await appendMany(one, 10);
    await relayed(one);
    await one.stop();
    // As a crash leaves it.
    const two = await start({ idle: true });
    await two.db.query('UPDATE tidemark.relay_cursors SET seq = greatest(seq - 2, 0)');
    await append(two.store, LOG, 'a-1', [noted('later')]);
    await two.relay.start();
    await relayed(two);
    expect(await seqsInKafka(topic())).toEqual(allSeqs(await heads(two.db)));
    expect(two.counts).toMatchObject({ sent: 1, again: 0 });
  });

  it('sends all again to a topic that was made again, also of shards in which nothing happens', async () => {
    const one = await start();
    await appendMany(one, 40);
    await relayed(one);
    await kafka.deleteTopic(topic());
    await append(one.store, LOG, 'a-1', [noted('later')]);
    const all = allSeqs(await heads(one.db));
    await expect.poll(() => seqsInKafka(topic()).catch(() => undefined), { timeout: 60_000 }).toEqual(all);
  });

  it('a send that is not answered closes its shard alone, and is sent again', async () => {
    let broken = 0;
    const one = await start({
      shards: 4,
      publisher: (real) => ({
        ensure: (...given) => real.ensure(...given),
        tail: (...given) => real.tail(...given),
        async publish(log, shard, entries, check) {
          if (shard !== 2 || broken >= 5) return real.publish(log, shard, entries, check);
          // Every other time it was there all the same.
          if (broken++ % 2 === 1) await real.publish(log, shard, entries, check);
          throw new TidemarkError('broker_unavailable', 'no answer');
        },
      }),
    });
    await appendMany(one, 40, 3);
    await relayed(one);
    expect(broken).toBeGreaterThan(1);
    expect(one.counts.failed.every((code) => code === 'broker_unavailable')).toBe(true);
    const seqs = await seqsInKafka(topic());
    const whole = allSeqs(await heads(one.db));
    for (const [shard, all] of whole) {
      expect([...new Set(seqs.get(shard))]).toEqual(all);
      if (shard !== 2) expect(seqs.get(shard)).toEqual(all);
    }
    expect(one.relay.concerns).toEqual([]);
  });

  it('waits while Kafka is away, with one line in the log, and then sends what waited, in order', async () => {
    let away = true;
    const lines: string[] = [];
    const destination = { write: (line: string) => void lines.push(line) };
    const refuse =
      <A extends unknown[], T>(call: (...given: A) => Promise<T>) =>
      (...given: A): Promise<T> =>
        away
          ? Promise.reject(new TidemarkError('broker_unavailable', 'connect ECONNREFUSED'))
          : call(...given);
    const one = await start({
      logger: createLogger({ level: 'info', destination }),
      publisher: (real) => ({
        ensure: refuse(real.ensure.bind(real)),
        tail: refuse(real.tail.bind(real)),
        publish: refuse(real.publish.bind(real)),
      }),
    });
    await appendMany(one, 20);
    await expect.poll(() => one.counts.failed.length).toBeGreaterThan(12);
    await expect
      .poll(() => one.relay.concerns)
      .toEqual([
        expect.stringMatching(/^relay: 4 shards of account cannot be sent to Kafka since .*ECONNREFUSED$/),
      ]);
    const told = () =>
      lines.filter((line) => /"level":"?(warn|error|40|50)/.test(line) && !line.includes('idle connection'));
    expect(told()).toHaveLength(1);
    away = false;
    await relayed(one);
    expect(await seqsInKafka(topic())).toEqual(allSeqs(await heads(one.db)));
    await expect.poll(() => lines.some((line) => line.includes('can be sent to Kafka again'))).toBe(true);
    expect(told()).toHaveLength(1);
  });

  it('a topic of another shape stops the start', async () => {
    await kafka.createTopic(topic(), { partitions: 3 });
    const one = await start({ idle: true });
    await expect(one.relay.start()).rejects.toMatchObject({ code: 'topic_mismatch' });
  });
});
