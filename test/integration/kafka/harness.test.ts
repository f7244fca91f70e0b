/** The Kafka that tests and developers start: it keeps what it was given over kill -9, and leaves nothing behind. */
import { execFile } from 'node:child_process';
import { chmod, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { describeKafka, describeKafkaCluster, kafkaBrokers } from '../../support/kafka.js';
import { startKafka } from '../../support/kafka/cluster.js';
import { freePorts } from '../../support/kafka/ports.js';
import { sharedKafka } from '../../support/kafka/shared.js';
import { kafkaTools } from '../../support/kafka/tools.js';
import { program } from '../../support/command.js';

const SCRIPT = fileURLToPath(new URL('../../../scripts/kafka.js', import.meta.url));

async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(path.join(tmpdir(), 'tidemark-test-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true, maxRetries: 5 }));
  return folder;
}

function npmRunKafka(args: readonly string[], env: NodeJS.ProcessEnv = {}) {
  const { JAVA_HOME, XDG_CACHE_HOME } = process.env;
  const { child, printed, ended } = program(process.execPath, [SCRIPT, ...args], {
    ...(JAVA_HOME && { JAVA_HOME }),
    ...(XDG_CACHE_HOME && { XDG_CACHE_HOME }),
    ...env,
  });
  /** To the whole group, as a terminal does. */
  const signal = (name: NodeJS.Signals): void => void process.kill(-(child.pid ?? 0), name);
  return { printed, ended, signal };
}

/** Processes that name a folder, by their command lines. */
async function processesOf(folder: string): Promise<string[]> {
  const { stdout } = await promisify(execFile)('ps', ['-eo', 'args']);
  return stdout.split('\n').filter((line) => line.includes(folder));
}

/** Nothing tells of the end of what is not our child. */
const eventually = (check: () => Promise<void>) => vi.waitFor(check, { timeout: 60_000, interval: 50 });

describeKafkaCluster('a Kafka of our own', () => {
  it('keeps its data over kill -9 of npm run kafka', async () => {
    const folder = await temporaryFolder();
    const [port = 0] = await freePorts(1);
    const first = npmRunKafka(['--port', `${port}`, '--folder', folder]);
    const [, brokers = ''] = await first.printed(/KAFKA_BROKERS=(\S+)\n/);
    expect(brokers).toBe(`127.0.0.1:${port}`);
    const { createTopic, send, readAll } = kafkaTools([brokers]);
    await createTopic('orders');
    await send('orders', [{ key: 'o-1', value: 'placed' }]);

    first.signal('SIGKILL');
    await eventually(async () => expect(await processesOf(folder)).toEqual([]));

    const cluster = await startKafka({ port, folder });
    try {
      expect(await readAll('orders')).toMatchObject([{ key: 'o-1', value: 'placed' }]);
      const [node] = cluster.nodes;
      node?.pause();
      const sent = send('orders', [{ key: 'o-1', value: 'paid' }]);
      node?.resume();
      await sent;
      expect((await readAll('orders')).map(({ value }) => value)).toEqual(['placed', 'paid']);
      await node?.kill();
      expect(node?.pid).toBeUndefined();
    } finally {
      await cluster.stop();
    }
    expect(await processesOf(folder)).toEqual([]);
    expect(await readdir(folder)).toEqual(['broker-1']);
    await expect(startKafka({ folder, brokers: 3 })).rejects.toThrow('holds a cluster of 1; start it with');
  }, 240_000);

  it.each(['SIGINT', 'SIGKILL'] as const)(
    'leaves nothing behind when %s meets it during its start',
    async (name) => {
      const folder = await temporaryFolder();
      const [port = 0] = await freePorts(1);
      const run = npmRunKafka(['--port', `${port}`], { TMPDIR: folder });
      const broker = expect.stringContaining('kafka.Kafka');
      await eventually(async () => expect(await processesOf(folder)).toContainEqual(broker));
      run.signal(name);
      await run.ended;
      await eventually(async () => {
        expect(await processesOf(folder)).toEqual([]);
        expect((await readdir(folder)).filter((each) => each.startsWith('tidemark-kafka-'))).toEqual([]);
      });
    },
    240_000,
  );

  it('says which port is taken', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    onTestFinished(() => void server.close());
    const address = server.address();
    const port = typeof address === 'object' ? address?.port : undefined;
    const folder = await temporaryFolder();
    const { code, stderr } = await npmRunKafka(['--port', `${port}`], { TMPDIR: folder }).ended;
    expect([code, stderr.trim()]).toEqual([
      1,
      `npm run kafka: port ${port} is taken; choose another one with --port`,
    ]);
    expect((await readdir(folder)).filter((each) => each.startsWith('tidemark-kafka-'))).toEqual([]);
  });
});

describeKafka('the Kafka of a run', () => {
  it('is one that was given, where it can be reached', async () => {
    const given = await sharedKafka({ KAFKA_BROKERS: ` ${kafkaBrokers.join(', ')} ` });
    expect(given.brokers).toEqual(kafkaBrokers);
  });

  it('is not taken over by programs that a test starts', () => {
    expect(process.env['KAFKA_BROKERS']).toBeUndefined();
  });
});

describe('without a Kafka', () => {
  afterEach(() => void vi.unstubAllEnvs());

  /** A PATH with nothing on it but the scripts given. */
  async function only(scripts: Record<string, string>): Promise<void> {
    const folder = await temporaryFolder();
    for (const [name, script] of Object.entries(scripts)) {
      await writeFile(path.join(folder, name), `#!/bin/sh\n${script}\n`);
      await chmod(path.join(folder, name), 0o755);
    }
    vi.stubEnv('PATH', folder);
    vi.stubEnv('JAVA_HOME', '');
    vi.stubEnv('XDG_CACHE_HOME', path.join(folder, 'cache'));
  }

  it.each([
    ['there is no Java here; Kafka needs Java 17 or newer', {}],
    ['Java 8 is too old', { java: `echo 'java version "1.8.0_202"' >&2` }],
    ['there is no Maven here', { java: `echo 'openjdk version "21.0.1" 2023-10-17' >&2` }],
    [
      'from/to central: Unknown host repo.maven.apache.org)',
      {
        java: `echo 'openjdk version "17" 2021-09-14' >&2`,
        mvn: `echo '[ERROR] Could not transfer artifact a:b:pom:1 from/to central: Unknown host repo.maven.apache.org -> [Help 1]'; exit 1`,
      },
    ],
  ])('tells why in one loud line, or fails in CI: %s', async (why, scripts) => {
    await only(scripts);
    const said = vi.spyOn(console, 'warn').mockReturnValue();
    expect(await sharedKafka({})).toMatchObject({ brokers: [], canStart: false });
    const lines = String(said.mock.calls).trim().split('\n');
    said.mockRestore();
    expect(lines).toHaveLength(1);
    expect(lines[0]).toContain(`!!! NO KAFKA: `);
    expect(lines[0]).toContain(why);
    expect(lines[0]).toContain('SKIPPED');
    await expect(sharedKafka({ CI: 'true' })).rejects.toThrow(why);
  });

  it('a run that was given one that does not answer fails at once', async () => {
    const [port = 0] = await freePorts(1);
    const error = await sharedKafka({ KAFKA_BROKERS: `127.0.0.1:${port}` }).catch((thrown: Error) => thrown);
    expect(error).toBeInstanceOf(Error);
    expect(String(error)).toMatch(/^Error: KAFKA_BROKERS=127\.0\.0\.1:\d+ cannot be reached \(.*\)\. .*$/);
  });
});
