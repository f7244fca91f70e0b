/** Records of other systems become commands: a real Kafka, a real Postgres, from the bytes to the events. */
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { startCommands, type CommandProcess } from '../../support/commands.js';
import { bankOf, deposits, startInbound, type RunningInbound } from '../../support/inbound.js';
import { describeKafka, kafkaBrokers, uniqueName } from '../../support/kafka.js';
import { kafkaTools } from '../../support/kafka/tools.js';
import { freshDatabase, type FreshDatabase } from '../../support/postgres.js';

const WAIT = { timeout: 15_000, interval: 20 };
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
    expect(one.outcomes).toEqual([...Array.from({ length: 8 }, () => 'dead'), 'handled']);
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
});
