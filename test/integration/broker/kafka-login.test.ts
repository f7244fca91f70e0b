/** A broker that wants TLS and a log-in: what the settings say reaches it, and what is wrong is told without the password. */
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { createKafka } from '../../../src/broker/kafka/client.js';
import { KafkaPublisher } from '../../../src/broker/kafka/publisher.js';
import type { KafkaSettings } from '../../../src/broker/kafka/settings.js';
import { createLogger, silentLogger } from '../../../src/platform/logger.js';
import { describeKafka, describeKafkaCluster, kafkaBrokers, uniqueName } from '../../support/kafka.js';
import { startKafka, type KafkaCluster } from '../../support/kafka/cluster.js';
import { outgoingEvents } from '../../support/outgoing.js';

const START_MS = 120_000;
const PASSWORD = 'gehe1m=§';
const orders = { kind: 'events', log: 'order' } as const;
const plain = 'org.apache.kafka.common.security.plain.PlainLoginModule required';

describeKafkaCluster('a broker with TLS and SASL', () => {
  let folder = '';
  let kafka: KafkaCluster | undefined;
  let settings: KafkaSettings;

  const keytool = (...args: string[]) =>
    promisify(execFile)('keytool', [
      ...args,
      '-alias',
      'broker',
      '-keystore',
      path.join(folder, 'keys.p12'),
      '-storepass',
      'storepass',
    ]);

  beforeAll(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'tidemark-tls-'));
    await keytool(
      '-genkeypair',
      ...['-keyalg', 'EC', '-dname', 'CN=localhost', '-validity', '2'],
      ...['-ext', 'san=ip:127.0.0.1,dns:localhost', '-ext', 'bc:c', '-storetype', 'PKCS12'],
    );
    await keytool('-exportcert', '-rfc', '-file', path.join(folder, 'ca.pem'));
    kafka = await startKafka({
      config: {
        'listener.security.protocol.map': 'PLAINTEXT:SASL_SSL,CONTROLLER:PLAINTEXT',
        'sasl.mechanism.inter.broker.protocol': 'PLAIN',
        'sasl.enabled.mechanisms': 'PLAIN',
        'ssl.keystore.location': path.join(folder, 'keys.p12'),
        'ssl.keystore.password': 'storepass',
        'ssl.keystore.type': 'PKCS12',
        'ssl.truststore.location': path.join(folder, 'keys.p12'),
        'ssl.truststore.password': 'storepass',
        'ssl.truststore.type': 'PKCS12',
        'listener.name.plaintext.plain.sasl.jaas.config': `${plain} username="broker" password="b" user_broker="b" user_tide="${PASSWORD.replace('§', '\\u00a7')}";`,
      },
    });
    settings = {
      brokers: kafka.brokers,
      tls: { ca: await readFile(path.join(folder, 'ca.pem'), 'utf8') },
      sasl: { mechanism: 'plain', username: 'tide', password: PASSWORD },
      replication: 1,
      clientId: 'login-tests',
    };
  }, START_MS);

  afterAll(async () => {
    await kafka?.stop();
    await rm(folder, { recursive: true, force: true });
  });

  /** What a publisher of these settings gives, and all that it logs. */
  async function publishing(some: Partial<KafkaSettings>): Promise<{ told: unknown; lines: string }> {
    const written: string[] = [];
    const logger = createLogger({ level: 'trace', destination: { write: (line) => written.push(line) } });
    const publisher = new KafkaPublisher({
      settings: { ...settings, ...some },
      app: uniqueName('login'),
      logger,
    });
    try {
      await publisher.ensure([orders], 2);
      await publisher.publish(orders, 1, outgoingEvents(1, 1, 3));
      const told = await publisher.tail(orders, 1);
      return { told, lines: written.join('') };
    } catch (error) {
      return { told: error, lines: written.join('') + String(error) + JSON.stringify(error) };
    } finally {
      await publisher.stop();
    }
  }

  test('takes what we send, and consumers get in too', async () => {
    const { told, lines } = await publishing({});
    expect(told).toMatchObject({ seq: 3 });
    expect(lines).not.toContain(PASSWORD);
    const admin = createKafka(settings, silentLogger).admin();
    await admin.connect();
    expect((await admin.listTopics()).length).toBeGreaterThan(0);
    await admin.disconnect();
  });

  test('that does not know the password refuses us: no more tries, and no word of it', async () => {
    const wrong = `${PASSWORD}!`;
    const { told, lines } = await publishing({
      sasl: { mechanism: 'plain', username: 'tide', password: wrong },
    });
    expect(told).toMatchObject({
      code: 'broker_refused',
      message: expect.stringContaining('Authentication failed'),
    });
    expect(lines).not.toContain(wrong);
  });

  test('that has another mechanism refuses us', async () => {
    const { told } = await publishing({
      sasl: { mechanism: 'scram-sha-512', username: 'tide', password: PASSWORD },
    });
    expect(told).toMatchObject({
      code: 'broker_refused',
      message: expect.stringContaining('does not support the requested SASL mechanism'),
    });
  });

  test('whose certificate we do not trust is not spoken to', async () => {
    const { told } = await publishing({ tls: true });
    expect(told).toMatchObject({
      code: 'broker_unavailable',
      message: expect.stringMatching(/self.signed/),
    });
  });

  test('is not reached without TLS, and that is told in time', async () => {
    const { told } = await publishing({ tls: false });
    expect(told).toMatchObject({ code: 'broker_unavailable' });
  });
});

describeKafka('a broker without a log-in', () => {
  test('says so to whom wants one, without the password', async () => {
    const sasl = { mechanism: 'plain', username: 'tide', password: PASSWORD } as const;
    const publisher = new KafkaPublisher({
      settings: { brokers: kafkaBrokers, tls: false, sasl, replication: 1, clientId: 'login-tests' },
      app: uniqueName('login'),
      logger: silentLogger,
    });
    onTestFinished(() => publisher.stop());
    const told: unknown = await publisher.ensure([orders], 2).catch((error: unknown) => error);
    expect(told).toMatchObject({
      code: 'broker_refused',
      message: expect.stringContaining('wants no log-in at this port; leave out KAFKA_SASL_MECHANISM'),
    });
    expect(String(told)).not.toContain(PASSWORD);
  });
});
