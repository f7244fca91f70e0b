/** Inbound with a broker that is killed while it reads, and comes back. */
import { expect, onTestFinished, test } from 'vitest';
import { startCommands } from '../../support/commands.js';
import { bankOf, deposits, startInbound } from '../../support/inbound.js';
import { describeKafkaCluster, uniqueName } from '../../support/kafka.js';
import { startKafka } from '../../support/kafka/cluster.js';
import { kafkaTools } from '../../support/kafka/tools.js';
import { freshDatabase } from '../../support/postgres.js';

const WAIT = { timeout: 60_000, interval: 50 };

describeKafkaCluster('a broker that is killed', () => {
  test('is waited for; what was done is not done again, what is dead is buried once it is back', async () => {
    const cluster = await startKafka({ brokers: 1 });
    onTestFinished(() => cluster.stop());
    const tools = kafkaTools(cluster.brokers);
    const [node] = cluster.nodes;
    const topic = uniqueName('deposits');
    const app = bankOf(uniqueName('bank'), [deposits(topic)], 2);
    const pg = await freshDatabase();
    onTestFinished(() => pg.drop());
    const main = await startCommands(pg.url, app);
    onTestFinished(() => main.stop());
    const account = uniqueName('a');
    const value = (cents: number) => ({ value: JSON.stringify({ account, cents }) });
    const cents = async () =>
      (await main.store.readStream({ category: 'account', streamId: account, limit: 100 })).map(
        ({ data }) => (data as { cents: number }).cents,
      );
    await tools.createTopic(topic);
    await tools.send(topic, [value(1)]);
    let killed: Promise<void> | undefined;
    const bus = {
      async execute(command: Parameters<typeof main.bus.execute>[0]) {
        // Right before the dead letter that follows.
        if ((await cents()).length === 1) await (killed ??= node?.kill());
        return main.bus.execute(command);
      },
    };
    const one = await startInbound(app, bus, { brokers: cluster.brokers });
    onTestFinished(() => one.stop());
    await expect.poll(cents, WAIT).toEqual([1]);
    await tools.send(topic, [value(2), { value: 'nonsense' }, value(3)]);
    await expect.poll(() => killed !== undefined, WAIT).toBe(true);
    await killed;
    await expect.poll(() => one.inbound.standings[0]?.troubles, WAIT).not.toEqual([]);
    await node?.start();
    await expect.poll(cents, WAIT).toEqual([1, 2, 3]);
    await expect.poll(() => one.inbound.standings[0]?.troubles, WAIT).toEqual([]);
    const letters = await tools.readAll(`${app.name}.${topic}.dead-letters`);
    expect(letters.map(({ value: text }) => text)).toEqual(letters.map(() => 'nonsense'));
    expect(letters.length).toBeGreaterThan(0);
  }, 300_000);
});
