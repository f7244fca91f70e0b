/** Records of other systems become commands: a real Kafka, a real Postgres, from the bytes to the events. */
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import type { InboundCommand } from '../../../src/inbound/ports.js';
import { TidemarkError } from '../../../src/platform/errors.js';
import { startCommands, type CommandProcess } from '../../support/commands.js';
import { bankOf, deposits, startInbound, type RunningInbound } from '../../support/inbound.js';
import { sendCompressed } from '../../support/kafka/compressed.js';
import { describeKafka, kafkaBrokers, uniqueName } from '../../support/kafka.js';
import { kafkaTools } from '../../support/kafka/tools.js';
import { startFlakyProxy } from '../../support/flaky-proxy.js';
import { randomFrom } from '../../support/random.js';
import { freshDatabase, type FreshDatabase } from '../../support/postgres.js';

const WAIT = { timeout: 60_000, interval: 20 };
const kafka = kafkaTools(kafkaBrokers);
const running: RunningInbound[] = [];
let pg: FreshDatabase;
let main: CommandProcess;

beforeAll(async () => {
  pg = await freshDatabase();
  main = await startCommands(pg.url, bankOf('bank', []));
});
afterEach(async () => {
  await Promise.all(running.splice(0).map((one) => one.stop()));
});
afterAll(async () => {
  await main?.stop();
  await pg?.drop();
});

async function topicOf(partitions = 1): Promise<string> {
  const topic = uniqueName('deposits');
  await kafka.createTopic(topic, { partitions });
  return topic;
}

async function begin(...given: Parameters<typeof startInbound>): Promise<RunningInbound> {
  const one = await startInbound(...given);
  running.push(one);
  return one;
}

const binary = (id: string, more: Record<string, string> = {}) => ({
  ce_specversion: '1.0',
  ce_id: id,
  ce_source: '/billing',
  ce_type: 'deposited',
  'content-type': 'application/json',
  ...more,
});

/** Events of an account, in their order. */
const eventsOf = (streamId: string) => main.store.readStream({ category: 'account', streamId, limit: 1_000 });
const centsOf = async (streamId: string): Promise<readonly unknown[]> =>
  (await eventsOf(streamId)).map(({ data }) => (data as { cents: number }).cents);

describeKafka('inbound', () => {
  test('CloudEvents in both modes and plain JSON become commands, whose events know where they come from', async () => {
    const topic = await topicOf();
    const app = bankOf(uniqueName('bank'), [deposits(topic)]);
    const account = uniqueName('a');
    const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
    await kafka.send(topic, [
      {
        key: account,
        value: JSON.stringify({ account, cents: 1 }),
        headers: binary('e-1', { ce_correlationid: 'talk-1', ce_traceparent: traceparent }),
      },
      {
        value: JSON.stringify({
          specversion: '1.0',
          id: 'e-2',
          source: '/billing',
          type: 'deposited',
          data: { account, cents: 2 },
        }),
        headers: { 'content-type': 'application/cloudevents+json; charset=utf-8' },
      },
      { value: JSON.stringify({ account, cents: 3, unknown: true }) },
    ]);
    await begin(app, main.bus);
    await expect.poll(() => centsOf(account), WAIT).toEqual([1, 2, 3]);
    const [first, second, third] = await eventsOf(account);
    expect(first?.metadata).toEqual({
      correlationId: 'talk-1',
      causationId: 'e-1',
      actor: 'inbound:deposits',
      traceparent,
    });
    expect(second?.metadata).toMatchObject({ correlationId: 'e-2', causationId: 'e-2' });
    expect(third?.metadata).toMatchObject({ causationId: `${topic}/0/2` });
  });

  test('a record that cannot become a command goes to the dead letters as it came, and those after it go on', async () => {
    const topic = await topicOf();
    const app = bankOf(uniqueName('bank'), [deposits(topic, { attempts: 2 })]);
    const account = uniqueName('a');
    const frozen = uniqueName('f');
    await main.run({ aggregate: 'account', streamId: frozen, command: 'freeze' });
    const value = (data: object): string => JSON.stringify({ account, cents: 1, ...data });
    await kafka.send(topic, [
      { key: 'k-0', value: '{broken', headers: { own: 'kept', twice: ['a', 'b'] } },
      { key: 'k-1', value: value({ cents: 'one' }), headers: binary('e-1') },
      { key: 'k-2', value: value({ note: 'handler' }) },
      { key: 'k-3', value: value({ account: frozen }) },
      { key: 'k-4', value: value({ cents: 0 }) },
      { key: 'k-5', value: value({ note: 'crash' }) },
      { key: 'k-6', value: null },
      { key: 'k-7', value: 'pixels', headers: { 'content-type': 'image/png' } },
      { key: 'k-8', value: value({ cents: 8 }) },
    ]);
    const one = await begin(app, main.bus);
    await expect.poll(() => centsOf(account), WAIT).toEqual([8]);
    // The event is there before it is told what became of the record.
    await expect
      .poll(() => one.outcomes, WAIT)
      .toEqual([...Array.from({ length: 8 }, () => 'dead'), 'handled']);
    expect(one.retries).toEqual(['internal_error']);
    const letters = await kafka.readAll(`${app.name}.${topic}.dead-letters`);
    expect(letters.map(({ key, headers }) => [key, headers['ce_errorcode'], headers['ce_attempts']])).toEqual(
      [
        ['k-0', 'unreadable_record', '1'],
        ['k-1', 'invalid_record', '1'],
        ['k-2', 'handler_failed', '1'],
        ['k-3', 'account_frozen', '1'],
        ['k-4', 'invalid_payload', '1'],
        ['k-5', 'internal_error', '2'],
        ['k-6', 'invalid_record', '1'],
        ['k-7', 'unreadable_record', '1'],
      ],
    );
    expect(letters[0]).toMatchObject({
      value: '{broken',
      headers: {
        own: 'kept',
        twice: 'b',
        ce_consumer: 'deposits',
        ce_topic: topic,
        ce_partition: '0',
        ce_offset: '0',
        ce_error: expect.stringContaining('the value is no JSON'),
      },
    });
    expect(letters[1]?.headers).toMatchObject({
      ce_id: 'e-1',
      ce_error: expect.stringContaining('/cents: '),
    });
    expect(letters[2]?.headers['ce_error']).toBe('the handler is out of order');
    expect(letters[6]?.value).toBeNull();
  });

  test('a record that is larger than dead letters may be is told of there, and those after it go on', async () => {
    const topic = uniqueName('large');
    await kafka.createTopic(topic, { config: { 'max.message.bytes': '8000000' } });
    const app = bankOf(uniqueName('bank'), [deposits(topic)]);
    const account = uniqueName('a');
    const large = 'x'.repeat(1_500_000);
    await kafka.send(topic, [
      { key: 'k-0', value: `{${large}`, headers: { own: 'kept' } },
      { key: 'k-1', value: '{broken', headers: { own: large } },
      { key: 'k-2', value: JSON.stringify({ account, cents: 2 }) },
    ]);
    await begin(app, main.bus);
    await expect.poll(() => centsOf(account), WAIT).toEqual([2]);
    const letters = await kafka.readAll(`${app.name}.${topic}.dead-letters`);
    expect(letters).toMatchObject([
      {
        key: 'k-0',
        value: null,
        headers: {
          own: 'kept',
          ce_offset: '0',
          ce_error: expect.stringContaining('1500001 bytes is left out'),
        },
      },
      { value: null, headers: { ce_offset: '1', ce_error: expect.stringContaining('headers are left out') } },
    ]);
  });

  test('what is compressed so that it cannot be read is told of', async () => {
    const topic = await topicOf();
    const app = bankOf(uniqueName('bank'), [deposits(topic)]);
    await sendCompressed(topic, 0);
    const one = await begin(app, main.bus);
    await expect
      .poll(() => one.inbound.standings.flatMap(({ troubles }) => troubles).join(), WAIT)
      .toMatch(/cannot be read: .*LZ4/);
  });

  test('a record that comes twice happens once: from its sender, and after the offsets were lost', async () => {
    const topic = await topicOf();
    const app = bankOf(uniqueName('bank'), [deposits(topic)]);
    const account = uniqueName('a');
    const plain = { value: JSON.stringify({ account, cents: 2 }) };
    const event = { value: JSON.stringify({ account, cents: 1 }), headers: binary('e-1') };
    await kafka.send(topic, [event, plain, event, plain]);
    const first = await begin(app, main.bus);
    // Two plain records are two, as nothing says that they are one.
    await expect.poll(() => first.outcomes.length, WAIT).toBe(4);
    expect(await centsOf(account)).toEqual([1, 2, 2]);
    await first.stop();
    const groupId = `${app.name}.inbound.deposits`;
    await kafka.withAdmin((admin) => admin.deleteGroups([groupId]));
    const second = await begin(app, main.bus);
    await expect.poll(() => second.outcomes.length, WAIT).toBe(4);
    expect(await centsOf(account)).toEqual([1, 2, 2]);
    await second.stop();
    await kafka.withAdmin((admin) => admin.deleteGroups([groupId]));
    // By now the handler gives another payload: what was done stays as it was done, and nothing waits for it.
    const changed = bankOf(app.name, [deposits(topic, { note: 'by new code' })]);
    await kafka.send(topic, [{ value: JSON.stringify({ account, cents: 3 }) }]);
    const third = await begin(changed, main.bus);
    await expect.poll(() => third.outcomes.length, WAIT).toBe(5);
    expect(third.reused()).toBe(4);
    expect(third.outcomes).toEqual(Array.from({ length: 5 }, () => 'handled'));
    expect(await centsOf(account)).toEqual([1, 2, 2, 3]);
  });

  test('a process that was stopped goes on where it was', async () => {
    const topic = await topicOf();
    const app = bankOf(uniqueName('bank'), [deposits(topic)]);
    const account = uniqueName('a');
    const send = (cents: number) => kafka.send(topic, [{ value: JSON.stringify({ account, cents }) }]);
    await send(1);
    const first = await begin(app, main.bus);
    await expect.poll(() => first.outcomes.length, WAIT).toBe(1);
    await first.stop();
    await send(2);
    const second = await begin(app, main.bus);
    await expect.poll(() => second.outcomes.length, WAIT).toBe(1);
    expect(await centsOf(account)).toEqual([1, 2]);
    await expect.poll(() => second.inbound.standings[0]?.behind, WAIT).toBe(0);
    expect(second.inbound.standings).toEqual([{ consumer: 'deposits', topic, behind: 0, troubles: [] }]);
  });

  test('a topic that is not there yet is waited for, and that is told', async () => {
    const topic = uniqueName('deposits');
    const app = bankOf(uniqueName('bank'), [deposits(topic)]);
    const account = uniqueName('a');
    const one = await begin(app, main.bus);
    await expect.poll(() => one.inbound.standings[0]?.troubles, WAIT).toEqual([`there is no topic ${topic}`]);
    await kafka.createTopic(topic);
    await kafka.send(topic, [{ value: JSON.stringify({ account, cents: 1 }) }]);
    await expect.poll(() => centsOf(account), WAIT).toEqual([1]);
    await expect.poll(() => one.inbound.standings[0]?.troubles, WAIT).toEqual([]);
  });

  test('a database that is away holds records back, in their order, and stops nothing for good', async () => {
    const topic = await topicOf();
    const app = bankOf(uniqueName('bank'), [deposits(topic)]);
    const account = uniqueName('a');
    const proxy = await startFlakyProxy(pg.url);
    const behind = await startCommands(proxy.url, app, { store: { appendTimeoutMs: 500 } });
    const one = await begin(app, behind.bus);
    const send = (...cents: number[]) =>
      kafka.send(
        topic,
        cents.map((each) => ({ value: JSON.stringify({ account, cents: each }) })),
      );
    await send(1);
    await expect.poll(() => centsOf(account), WAIT).toEqual([1]);
    proxy.mode = 'refuse';
    proxy.cut();
    await send(2, 3, 4);
    await expect
      .poll(() => one.inbound.standings[0]?.troubles, WAIT)
      .toEqual([
        expect.stringMatching(new RegExp(`^${topic}/0/1 waits: (database_unavailable|outcome_unknown)$`)),
      ]);
    proxy.mode = 'pass';
    await expect.poll(() => centsOf(account), WAIT).toEqual([1, 2, 3, 4]);
    await expect.poll(() => one.outcomes, WAIT).toEqual(Array.from({ length: 4 }, () => 'handled'));
    await one.stop();
    await behind.stop();
    await proxy.stop();
  });

  test('a partition that waits keeps no other waiting', async () => {
    const topic = await topicOf(2);
    const app = bankOf(uniqueName('bank'), [deposits(topic)]);
    const [held, free] = [uniqueName('a'), uniqueName('a')];
    const bus = {
      execute: (command: InboundCommand) =>
        command.streamId === held
          ? Promise.reject(new TidemarkError('database_unavailable', 'it is away'))
          : main.bus.execute(command),
    };
    const value = (account: string) => JSON.stringify({ account, cents: 1 });
    await kafka.send(topic, [{ partition: 0, value: value(held) }]);
    const one = await begin(app, bus);
    await expect.poll(() => one.retries.length, WAIT).toBeGreaterThan(0);
    for (let round = 1; round <= 3; round++) {
      await kafka.send(topic, [
        { partition: 1, value: value(free) },
        { partition: 0, value: value(free) },
      ]);
      await expect.poll(() => centsOf(free), WAIT).toHaveLength(round);
    }
    // As far as the last fetch of each partition told.
    await expect
      .poll(() => one.inbound.standings[0], WAIT)
      .toMatchObject({ behind: 4, troubles: [`${topic}/0/0 waits: database_unavailable`] });
  });

  test('processes that come and go share the work: each record once, in the order of its partition', async () => {
    const seed = Date.now() % 1_000_000;
    console.log(`inbound: seed ${seed}`);
    const below = randomFrom(seed);
    const topic = await topicOf(4);
    const app = bankOf(uniqueName('bank'), [deposits(topic)]);
    const accounts = Array.from({ length: 8 }, () => uniqueName('a'));
    const total = 500;
    const messages = Array.from({ length: total }, (_, index) => {
      const account = accounts[index % accounts.length] ?? '';
      return {
        key: account,
        value: JSON.stringify({ account, cents: index + 1 }),
        headers: binary(`${topic}-${index}`),
      };
    });
    const handled = new Set<string>();
    const bus = {
      async execute(command: InboundCommand) {
        await main.bus.execute(command);
        handled.add(command.causationId);
      },
    };
    const members: RunningInbound[] = [await begin(app, bus), await begin(app, bus)];
    const portion = total / 5;
    for (let sent = 0; sent < total; sent += portion) {
      // With each change of the members there is something to be handled.
      await kafka.send(topic, messages.slice(sent, sent + portion));
      const [leaver] = members.splice(below(members.length), 1);
      const joining = begin(app, bus);
      await leaver?.stop();
      members.push(await joining);
      // In the middle of it the next ones come and go.
      await expect.poll(() => handled.size, WAIT).toBeGreaterThan(sent);
    }
    await expect.poll(() => handled.size, WAIT).toBe(total);
    for (const [index, account] of accounts.entries()) {
      const own = messages.flatMap((_, at) => (at % accounts.length === index ? [at + 1] : []));
      expect(await centsOf(account)).toEqual(own);
    }
  });
});
