/**
 * A real Kafka on this machine: one broker, or several of one cluster, each a Java process that can be killed and started
 * again. Its data is in a temporary folder, gone when it stops.
 */
import { spawn, execFile, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, open, readFile, rm, writeFile } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { kafkaJars } from './jars.js';

const run = promisify(execFile);
const START_MS = 60_000;
const STOP_MS = 15_000;

export interface KafkaNode {
  readonly id: number;
  /** `host:port` */
  readonly broker: string;
  /** Undefined while it is down. */
  readonly pid: number | undefined;
  /** Resolves when it accepts connections. */
  start(): Promise<void>;
  /** Ends it as a crash does; resolves when the process is gone. */
  kill(): Promise<void>;
  /** Ends it in order. */
  stop(): Promise<void>;
}

export interface KafkaCluster {
  readonly brokers: readonly string[];
  readonly nodes: readonly KafkaNode[];
  stop(): Promise<void>;
}

export interface KafkaClusterOptions {
  /** 1 unless told otherwise; three have replication 3 and want two in sync. */
  readonly brokers?: number;
  /** Of the first broker; free ones unless told otherwise. */
  readonly port?: number;
  /** Kept when the cluster stops; a temporary one that goes with it unless told otherwise. */
  readonly folder?: string;
}

/** Ports that were free a moment ago. */
async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = createServer();
      server.listen(0, '127.0.0.1');
      await once(server, 'listening');
      return server;
    }),
  );
  return Promise.all(
    servers.map(async (server) => {
      const address = server.address();
      server.close();
      await once(server, 'close');
      if (address === null || typeof address === 'string') throw new Error('a TCP server has a port');
      return address.port;
    }),
  );
}

function properties(
  node: { id: number; port: number; controller: number; data: string },
  voters: string,
): string {
  const replicas = voters.split(',').length;
  const inSync = replicas > 1 ? 2 : 1;
  return `
process.roles=broker,controller
node.id=${node.id}
controller.quorum.voters=${voters}
listeners=PLAINTEXT://127.0.0.1:${node.port},CONTROLLER://127.0.0.1:${node.controller}
advertised.listeners=PLAINTEXT://127.0.0.1:${node.port}
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs=${node.data}
default.replication.factor=${replicas}
min.insync.replicas=${inSync}
offsets.topic.replication.factor=${replicas}
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=${replicas}
transaction.state.log.min.isr=${inSync}
share.coordinator.state.topic.replication.factor=${replicas}
share.coordinator.state.topic.min.isr=${inSync}
group.initial.rebalance.delay.ms=0
log.cleaner.dedupe.buffer.size=2097152
log.retention.check.interval.ms=1000
auto.create.topics.enable=false
`;
}

async function accepts(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1');
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

class Broker implements KafkaNode {
  readonly id: number;
  readonly broker: string;
  readonly #folder: string;
  readonly #port: number;
  readonly #jars: string;
  #child: ChildProcess | undefined;

  constructor(id: number, port: number, folder: string, jars: string) {
    this.id = id;
    this.broker = `127.0.0.1:${port}`;
    this.#port = port;
    this.#folder = folder;
    this.#jars = jars;
  }

  get pid(): number | undefined {
    return this.#child?.exitCode === null && this.#child.signalCode === null ? this.#child.pid : undefined;
  }

  async start(): Promise<void> {
    const log = path.join(this.#folder, 'broker.log');
    const out = await open(log, 'a');
    const memory = ['-Xmx256m', '-Xms128m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1'];
    const args = [
      ...memory,
      '-cp',
      path.join(this.#jars, '*'),
      'kafka.Kafka',
      path.join(this.#folder, 'server.properties'),
    ];
    const child = spawn('java', args, { stdio: ['ignore', out.fd, out.fd] });
    this.#child = child;
    await out.close();
    const until = Date.now() + START_MS;
    // Nothing tells when it accepts connections but a connection.
    while (!(await accepts(this.#port))) {
      if (this.pid === undefined || Date.now() > until) {
        await this.kill();
        const told = await readFile(log, 'utf8');
        throw new Error(`a Kafka broker did not start: ${told.slice(-2_000)}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  kill(): Promise<void> {
    return this.#end('SIGKILL');
  }

  stop(): Promise<void> {
    return this.#end('SIGTERM');
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#child;
    if (!child || this.pid === undefined) return;
    const gone = once(child, 'exit');
    child.kill(signal);
    const late = setTimeout(() => child.kill('SIGKILL'), STOP_MS);
    await gone;
    clearTimeout(late);
  }
}

/** @throws NoKafka where this machine has not what it takes; Error when a broker does not start */
export async function startKafka(options: KafkaClusterOptions = {}): Promise<KafkaCluster> {
  const { brokers: count = 1 } = options;
  const jars = await kafkaJars();
  const temporary = options.folder === undefined;
  const root = options.folder ?? (await mkdtemp(path.join(tmpdir(), 'tidemark-kafka-')));
  const ports = await freePorts(2 * count);
  const places = Array.from({ length: count }, (_, index) => ({
    id: index + 1,
    port: options.port === undefined ? (ports[2 * index] ?? 0) : options.port + index,
    controller: ports[2 * index + 1] ?? 0,
    folder: path.join(root, `broker-${index + 1}`),
  }));
  const voters = places.map(({ id, controller }) => `${id}@127.0.0.1:${controller}`).join(',');
  const java = (...args: string[]) =>
    run('java', [
      '-Xmx128m',
      '-XX:TieredStopAtLevel=1',
      '-cp',
      path.join(jars, '*'),
      'kafka.tools.StorageTool',
      ...args,
    ]);
  const id = (await java('random-uuid')).stdout.trim();
  await Promise.all(
    places.map(async (place) => {
      await mkdir(place.folder, { recursive: true });
      const file = path.join(place.folder, 'server.properties');
      await writeFile(file, properties({ ...place, data: path.join(place.folder, 'data') }, voters));
      await java('format', '-t', id, '-c', file);
    }),
  );
  const nodes = places.map((place) => new Broker(place.id, place.port, place.folder, jars));
  const stop = async (): Promise<void> => {
    await Promise.all(nodes.map((node) => node.kill()));
    if (temporary) await rm(root, { recursive: true, force: true, maxRetries: 5 });
  };
  try {
    await Promise.all(nodes.map((node) => node.start()));
  } catch (error) {
    await stop();
    throw error;
  }
  return { brokers: nodes.map(({ broker }) => broker), nodes, stop };
}
