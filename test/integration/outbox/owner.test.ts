/** One schema, one application in Kafka: another one's relay does not start there. */
import { defineApp } from 'tidemark';
import { onTestFinished, test, expect } from 'vitest';
import { loadConfig } from '../../../src/app/config.js';
import { createRuntime, type Runtime } from '../../../src/app/runtime.js';
import { silentLogger as logger } from '../../../src/platform/logger.js';
import { Account } from '../../support/bank.js';
import { describeKafka, kafkaBrokers, uniqueName } from '../../support/kafka.js';
import { freshDatabase } from '../../support/postgres.js';

describeKafka('a schema that is relayed for one application', () => {
  test('starts no relay of another; the same one starts again, and a schema of its own is the way out', async () => {
    const pg = await freshDatabase();
    onTestFinished(() => pg.drop());
    const runtimeOf = (name: string, schema: string): Runtime => {
      const app = defineApp({ auth: 'none', name, aggregates: [Account], shards: 2 });
      const config = loadConfig({
        DATABASE_URL: pg.url,
        KAFKA_BROKERS: kafkaBrokers.join(','),
        TIDEMARK_SCHEMA: schema,
        TIDEMARK_ROLES: 'relay',
        PORT: '0',
      });
      return createRuntime(app, config, { logger });
    };
    const [shop, bank] = [uniqueName('shop'), uniqueName('bank')];
    for (const [name, schema] of [
      [shop, 'tidemark'],
      [shop, 'tidemark'],
      [bank, 'bank'],
    ] as const) {
      const runtime = runtimeOf(name, schema);
      await runtime.start();
      await runtime.stop();
    }
    await expect(runtimeOf(bank, 'tidemark').start()).rejects.toMatchObject({
      code: 'schema_taken',
      message: expect.stringContaining(`of the application ${shop}, not of ${bank}`),
    });
  });
});
