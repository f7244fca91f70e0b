/**
 * `npm run bench -- latency [--kafka] [--json] [--quick]`: the orders example in a process of its own, as `npm start` runs it; 100
 * commands a second, and for each the time until its change is at a WebSocket subscriber, from when it was sent and from
 * when it was accepted. The peer is the machine’s own floor for that way in the same turns: one HTTP request that
 * does nothing, then a ping over the same socket; through Kafka (events and changes each go over it), two records of a
 * bare kafkajs producer, one after the other, each until a bare consumer has it, besides.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, readFile, rm } from 'node:fs/promises';
import { Agent, request } from 'node:http';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import WebSocket from 'ws';
import type { ServerFrame } from '../src/protocol/frames.js';
import { sharedKafka, type SharedKafka } from '../test/support/kafka/shared.js';
import { bareHop } from './support/bare-kafka.js';
import { cpuMsOf, postgresCpuMs } from './support/cpu.js';
import { median, quantile, report, type Sample } from './support/report.js';

const { values: flags } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    quick: { type: 'boolean', default: false },
    kafka: { type: 'boolean', default: false },
  },
});
const PER_SECOND = 100;
const WARM_UP = flags.quick ? 100 : 500;
const MEASURE = flags.quick ? 300 : 1_500;
const REPEATS = flags.quick ? 2 : 4;

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

const agent = new Agent({ keepAlive: true, noDelay: true });

/** @returns when the answer was complete, in ms of the monotonic clock */
function call(port: number, method: string, path: string, body?: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const headers =
      body === undefined
        ? {}
        : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) };
    const sent = request({ host: '127.0.0.1', port, method, path, agent, headers }, (answer) => {
      answer.resume().on('end', () => {
        if (answer.statusCode === 200) resolve(performance.now());
        else reject(new Error(`${method} ${path}: ${answer.statusCode}`));
      });
    });
    sent.on('error', reject).end(body);
  });
}

class Socket {
  readonly #socket: WebSocket;
  readonly #arrivals = new Map<string, (at: number) => void>();
  #pong: (() => void) | undefined;

  private constructor(socket: WebSocket) {
    this.#socket = socket;
  }

  static async open(port: number): Promise<Socket> {
    const socket = new WebSocket(`ws://127.0.0.1:${port}/realtime`, 'tidemark.v1');
    const self = new Socket(socket);
    await once(socket, 'open');
    const live = new Promise<void>((resolve) => {
      socket.on('message', (data) => {
        const frame = JSON.parse(String(data)) as ServerFrame;
        if (frame.t === 'live') resolve();
        else if (frame.t === 'pong') self.#pong?.();
        else if (frame.t === 'chg') self.#arrived(frame);
      });
    });
    socket.send(JSON.stringify({ t: 'sub', id: 's', view: 'order_summary' }));
    await live;
    return self;
  }

  #arrived(frame: ServerFrame & { t: 'chg' }): void {
    const at = performance.now();
    for (const [, , , rows] of frame.d) for (const [key] of rows) this.#arrivals.get(key)?.(at);
  }

  change(key: string): Promise<number> {
    return new Promise((resolve) => this.#arrivals.set(key, resolve));
  }

  ping(): Promise<void> {
    return new Promise((resolve) => {
      this.#pong = resolve;
      this.#socket.send('{"t":"ping"}');
    });
  }

  close(): void {
    this.#socket.terminate();
  }
}

/** Open loop: one operation each 10 ms, whether the one before it is done or not. */
async function paced(count: number, operation: (n: number) => Promise<void>): Promise<void> {
  const begin = performance.now();
  const all: Promise<void>[] = [];
  for (let n = 0; n < count; n++) {
    const wait = begin + (n * 1000) / PER_SECOND - performance.now();
    if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait));
    all.push(operation(n));
  }
  await Promise.all(all);
}

interface Pids {
  readonly app: number;
  readonly postmaster: number;
}

interface Cpu {
  readonly process: number;
  readonly postgres: number;
}

/** CPU ms so far of the application’s process, and of its Postgres. */
const cpuNow = (pids: Pids): Cpu => ({
  process: cpuMsOf(pids.app),
  postgres: postgresCpuMs(pids.postmaster),
});

const sampleOf = (latencies: readonly number[], seconds: number, from: Cpu, to: Cpu): Sample => {
  const sorted = Float64Array.from(latencies).sort();
  return {
    perSecond: latencies.length / seconds,
    p50Ms: quantile(sorted, 0.5),
    p99Ms: quantile(sorted, 0.99),
    processCpu: ((to.process - from.process) / latencies.length) * 1000,
    postgresCpu: ((to.postgres - from.postgres) / latencies.length) * 1000,
  };
};

interface Turn {
  readonly sent: Sample;
  readonly accepted: Sample;
  readonly floor: Sample;
}

let orders = 0;

async function turn(
  ports: { http: number; realtime: number },
  pids: Pids,
  socket: Socket,
  count: number,
  hop: (() => Promise<void>) | undefined,
): Promise<Turn> {
  const fromSent: number[] = [];
  const fromAccepted: number[] = [];
  const floor: number[] = [];
  const before = cpuNow(pids);
  const begin = performance.now();
  await paced(count, async () => {
    const id = `l-${orders++}`;
    const arrival = socket.change(id);
    const at = performance.now();
    const lines = [{ sku: 'tea', quantity: 2, unitPriceCents: 450 }];
    const body = JSON.stringify({ customerId: `c-${orders % 100}`, lines });
    const [accepted, arrived] = await Promise.all([
      call(ports.http, 'POST', `/commands/order/${id}/place`, body),
      arrival,
    ]);
    fromSent.push(arrived - at);
    fromAccepted.push(arrived - accepted);
  });
  const seconds = (performance.now() - begin) / 1000;
  const idle = cpuNow(pids);
  const floorBegin = performance.now();
  for (let n = 0; n < count / 3; n++) {
    const at = performance.now();
    await call(ports.http, 'GET', '/livez');
    await socket.ping();
    for (let hops = 0; hop && hops < 2; hops++) await hop();
    floor.push(performance.now() - at);
    await new Promise((resolve) => setTimeout(resolve, 1000 / PER_SECOND));
  }
  const after = cpuNow(pids);
  return {
    sent: sampleOf(fromSent, seconds, before, idle),
    accepted: sampleOf(fromAccepted, seconds, before, idle),
    floor: sampleOf(floor, (performance.now() - floorBegin) / 1000, idle, after),
  };
}

async function startApp(
  dir: string,
  ports: { http: number; realtime: number },
  kafka: SharedKafka | undefined,
): Promise<ChildProcess> {
  const child = spawn(process.execPath, [fileURLToPath(new URL('../scripts/start.js', import.meta.url))], {
    env: {
      ...process.env,
      PORT: String(ports.http),
      REALTIME_PORT: String(ports.realtime),
      TIDEMARK_DATA_DIR: dir,
      LOG_LEVEL: 'error',
      KAFKA_BROKERS: kafka?.brokers.join(','),
    },
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const ready = async (): Promise<boolean> =>
    fetch(`http://127.0.0.1:${ports.http}/readyz`).then(
      ({ status }) => status === 200,
      () => false,
    );
  while (!(await ready())) {
    if (child.exitCode !== null) throw new Error(`the application ended with ${child.exitCode}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  return child;
}

const dir = await mkdtemp(join(tmpdir(), 'tidemark-latency-'));
// The account that Postgres runs as must be able to reach its data.
await chmod(dir, 0o755);
const ports = { http: await freePort(), realtime: await freePort() };
const kafka = flags.kafka ? await sharedKafka() : undefined;
if (kafka?.brokers.length === 0) throw new Error('there is no Kafka to measure with');
const child = await startApp(dir, ports, kafka);
let bare: Awaited<ReturnType<typeof bareHop>> | undefined;
try {
  bare = kafka && (await bareHop(kafka.brokers));
  const { hop } = bare ?? {};
  const socket = await Socket.open(ports.realtime);
  const pidFile = await readFile(join(dir, 'postgres/postmaster.pid'), 'utf8');
  const pids = { app: child.pid ?? 0, postmaster: Number.parseInt(pidFile, 10) };
  await turn(ports, pids, socket, WARM_UP, hop);
  const turns: Turn[] = [];
  for (let repeat = 0; repeat < REPEATS; repeat++) turns.push(await turn(ports, pids, socket, MEASURE, hop));
  const params = { commandsPerSecond: PER_SECOND, through: kafka ? 'kafka' : 'postgres' };
  const ratio = (of: (one: Turn) => Sample, at: 'p50Ms' | 'p99Ms'): number =>
    median(turns.map((one) => (of(one)[at] ?? Number.NaN) / (one.floor[at] ?? Number.NaN)));
  report({
    bench: 'latency',
    postgres: (await readFile(join(dir, 'postgres/PG_VERSION'), 'utf8')).trim(),
    runs: [
      { subject: 'tidemark', params: { ...params, from: 'sent' }, samples: turns.map(({ sent }) => sent) },
      {
        subject: 'tidemark',
        params: { ...params, from: 'accepted' },
        samples: turns.map(({ accepted }) => accepted),
      },
      {
        subject: 'floor',
        params: { way: `GET /livez + socket ping${kafka ? ' + two bare kafkajs hops' : ''}` },
        samples: turns.map(({ floor }) => floor),
      },
    ],
    ratios: [
      { name: 'tidemark/floor p50 from=sent', value: ratio(({ sent }) => sent, 'p50Ms') },
      { name: 'tidemark/floor p99 from=sent', value: ratio(({ sent }) => sent, 'p99Ms') },
    ],
    json: flags.json,
  });
  socket.close();
} finally {
  const ended = once(child, 'exit');
  child.kill('SIGTERM');
  await ended;
  await bare?.close();
  await kafka?.stop();
  agent.destroy();
  await rm(dir, { recursive: true, force: true });
}
