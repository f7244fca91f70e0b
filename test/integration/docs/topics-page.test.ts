/** docs/inbound.md and docs/topics.md: their TypeScript compiles and runs, the reader of a topic against a real Kafka. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { afterAll, expect, test } from 'vitest';
import { KafkaPublisher } from '../../../src/broker/kafka/publisher.js';
import type { OutgoingEvent } from '../../../src/broker/ports.js';
import { silentLogger } from '../../../src/platform/logger.js';
import { blocksOf, blockWith } from '../../support/docs/blocks.js';
import { programOf, type Program } from '../../support/docs/program.js';
import { describeKafka, kafkaBrokers, uniqueName } from '../../support/kafka.js';

const run = promisify(execFile);
const programs: Program[] = [];
afterAll(() => Promise.all(programs.map((program) => program.remove())));

async function written(text: string): Promise<Program> {
  const made = await programOf(text);
  programs.push(made);
  return made;
}

test('docs/inbound.md', async () => {
  const blocks = (await blocksOf('docs/inbound.md')).filter(({ language }) => language === 'ts');
  expect(blocks).toHaveLength(2);
  const made = await written(blocks.map(({ text }) => text).join('\n'));
  expect(await made.compile()).toEqual({ code: 0, output: '' });
  expect(await made.run()).toMatchObject({ code: 0 });
});

const entry = (seq: number): OutgoingEvent => ({
  kind: 'event',
  shard: 0,
  seq,
  epoch: 'e1',
  eventId: `00000000-0000-7000-8000-00000000000${seq}`,
  category: 'order',
  streamId: 'o-1',
  version: seq,
  type: 'OrderPaid',
  schemaVersion: 1,
  data: `{"paymentId":"p-${seq}"}`,
  tags: '{}',
  metadata: { correlationId: 'c', causationId: 'c', actor: 'a' },
  recordedAt: '2026-01-01T00:00:00.000Z',
});

describeKafka('docs/topics.md', () => {
  test('its reader and its kcat see what was published; the reader drops what comes again', async () => {
    const app = uniqueName('shop');
    const settings = { tls: false, sasl: undefined, replication: undefined, clientId: 'docs' };
    const publisher = new KafkaPublisher({
      app,
      settings: { ...settings, brokers: kafkaBrokers },
      logger: silentLogger,
    });
    const log = { kind: 'events', log: 'order' } as const;
    await publisher.ensure([log], 1);
    await publisher.publish(log, 0, [entry(1), entry(2)]);
    await publisher.publish(log, 0, [entry(2), entry(3)]);
    await publisher.stop();
    const example = (await blockWith('docs/topics.md', 'ts', 'fromBeginning'))
      .replace("'orders.order'", JSON.stringify(`${app}.order`))
      .replace("'mailing'", JSON.stringify(uniqueName('mailing')));
    // Whoever runs it would end it with Ctrl-C.
    const end = `
let lines = 0;
const log = console.log;
console.log = (line: string) => {
  log(line);
  if (++lines === 3) void consumer.disconnect();
};`;
    const made = await written(
      example.replace('await consumer.connect();', `${end}\nawait consumer.connect();`),
    );
    expect(await made.compile()).toEqual({ code: 0, output: '' });
    const { code, output } = await made.run({ KAFKA_BROKERS: kafkaBrokers.join(',') });
    expect(code, output).toBe(0);
    const events = output.split('\n').filter((line) => line.startsWith('{"id"'));
    expect(events.map((line) => (JSON.parse(line) as { data: unknown }).data)).toEqual([
      { paymentId: 'p-1' },
      { paymentId: 'p-2' },
      { paymentId: 'p-3' },
    ]);
    const command = (await blockWith('docs/topics.md', 'sh', 'kcat'))
      .replace('127.0.0.1:9092', kafkaBrokers.join(','))
      .replace('orders.order', `${app}.order`);
    const seen = await run('sh', ['-c', command]).catch((error: { code: number }) => error.code);
    // 127: there is no kcat here.
    if (seen !== 127)
      expect(seen).toMatchObject({ stdout: expect.stringMatching(/^(.*"ce_epoch","e1".*\n){4}$/) });
  });
});
