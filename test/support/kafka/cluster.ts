/**
 * A real Kafka on this machine: one broker, or three of one cluster, each a process that can be killed and started again.
 * Nothing of it outlives us, whatever we die of.
 */
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { access, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { KafkaStartError, PortTaken } from './errors.js';
import { kafkaJars } from './jars.js';
import { checkJava, javaArguments, javaCommand } from './java.js';
import { Broker, type KafkaNode } from './node.js';
import { freePorts, isFree } from './ports.js';
import { properties, type NodePlace } from './properties.js';
import { watch, type Watcher } from './watcher.js';

const FORMAT = ['kafka.tools.StorageTool', 'format', '-t'];

export interface KafkaCluster {
  /** `host:port` of each. */
  readonly brokers: readonly string[];
  readonly nodes: readonly KafkaNode[];
  /** With their data and their logs. */
  readonly folder: string;
  stop(): Promise<void>;
}

export interface KafkaClusterOptions {
  /** 1 unless told otherwise; three have replication 3 and want two in sync. */
  readonly brokers?: number;
  /** Of the first broker, the others follow; free ones unless told otherwise. */
  readonly port?: number;
  /** Kept when the cluster stops; a temporary one that goes with it unless told otherwise. */
  readonly folder?: string;
  /** Of each broker, beside and before what we set: `{ 'log.roll.ms': '1000' }`. */
  readonly config?: Readonly<Record<string, string>>;
}

async function portsFor(count: number, first: number | undefined): Promise<number[]> {
  if (first === undefined) return freePorts(count);
  const ports = Array.from({ length: count }, (_, index) => first + index);
  for (const port of ports) {
    if (!(await isFree(port)))
      throw new KafkaStartError(`port ${port} is taken; choose another one with --port`);
  }
  return ports;
}

function placesIn(root: string, ports: readonly number[], controllers: readonly number[]): NodePlace[] {
  return ports.map((port, index) => {
    const folder = path.join(root, `broker-${index + 1}`);
    const controller = controllers[index] ?? 0;
    return { id: index + 1, port, controller, folder, data: path.join(folder, 'data') };
  });
}

/** A cluster keeps its number of brokers. */
async function checkFolder(root: string, count: number): Promise<void> {
  const names = await readdir(root).catch(() => []);
  const there = names.filter((name) => /^broker-\d+$/.test(name)).length;
  if (there !== 0 && there !== count)
    throw new KafkaStartError(`${root} holds a cluster of ${there}; start it with --brokers ${there}`);
}

/** Makes the data folder of a node, unless it has one. */
async function format(node: NodePlace, args: readonly string[], watcher: Watcher): Promise<void> {
  const meta = path.join(node.data, 'meta.properties');
  if (await access(meta).then(() => true, () => false)) return; // prettier-ignore
  const running = promisify(execFile)(javaCommand(), args);
  watcher.guard(running.child);
  await running.catch((error: Error & { stderr?: string }) => {
    const why = error.stderr?.trim().split('\n')[0] || error.message;
    throw new KafkaStartError(`the data folder of broker ${node.id} could not be made: ${why}`);
  });
}

/** Of the cluster whose first node is there, else a new one. */
async function clusterIdOf(first: NodePlace | undefined): Promise<string> {
  const text = await readFile(path.join(first?.data ?? '', 'meta.properties'), 'utf8').catch(() => '');
  const known = /^cluster\.id=(.+)$/m.exec(text)?.[1];
  // A leading dash would be an option to Kafka's tool.
  return known ?? randomBytes(16).toString('base64url').replace(/^-/, 'A');
}

async function startOnce(jars: string, options: KafkaClusterOptions): Promise<KafkaCluster> {
  const count = options.brokers ?? 1;
  const ports = await portsFor(count, options.port);
  const controllers = await freePorts(count);
  const temporary = options.folder === undefined;
  const root = options.folder ?? (await mkdtemp(path.join(tmpdir(), 'tidemark-kafka-')));
  const places = placesIn(root, ports, controllers);
  const clusterId = await clusterIdOf(places[0]);
  const watcher = watch(temporary ? root : undefined);
  const nodes: Broker[] = [];
  // Data that is kept is closed in order, so that the next start need not mend it.
  const stop = async (): Promise<void> => {
    await Promise.all(nodes.map((node) => (temporary ? node.kill() : node.stop())));
    if (temporary) await rm(root, { recursive: true, force: true, maxRetries: 5 });
    watcher.done();
  };
  try {
    await Promise.all(
      places.map(async (place) => {
        const config = path.join(place.folder, 'server.properties');
        await mkdir(place.folder, { recursive: true });
        await writeFile(config, properties(place, places, options.config));
        await format(place, javaArguments(jars, ['-Xmx128m'], [...FORMAT, clusterId, '-c', config]), watcher);
        nodes[place.id - 1] = new Broker(place, config, jars, watcher);
      }),
    );
    const started = await Promise.allSettled(nodes.map((node) => node.start()));
    const failed = started.find((one) => one.status === 'rejected');
    if (failed) throw failed.reason;
  } catch (error) {
    await stop();
    throw error;
  }
  return { brokers: nodes.map(({ broker }) => broker), nodes, folder: root, stop };
}

/**
 * Resolves when all brokers serve.
 * @throws NoKafka where this machine has not what it takes; KafkaStartError
 */
export async function startKafka(options: KafkaClusterOptions = {}): Promise<KafkaCluster> {
  await checkJava();
  const jars = await kafkaJars();
  if (options.folder !== undefined) await checkFolder(options.folder, options.brokers ?? 1);
  for (let attempt = 1; ; attempt++) {
    try {
      return await startOnce(jars, options);
    } catch (error) {
      // Somebody else took a free port before we did.
      if (!(error instanceof PortTaken) || attempt === 5) throw error;
    }
  }
}
