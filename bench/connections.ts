/**
 * `npm run bench -- connections [--json] [--quick]`: 10,000 sockets that nothing is sent to, and what each costs the server’s
 * memory. Tidemark is the orders example, whole, in one process (API, projectors, gateway), and its clients watch one customer each,
 * 1,000 customers in all, so that there are 1,000 channels. Peers: bare uWebSockets.js with a topic, `ws`, and Socket.IO, which hold
 * nothing but the sockets. Each subject has a new process each time, as memory that was once taken is seldom given back.
 */
import { parseArgs } from 'node:util';
import { startTemporaryPostgres } from '../src/app/embedded/temporary.js';
import { Server } from './realtime/server.js';
import { Clients } from './support/clients.js';
import { openFilesLimit } from './support/limits.js';
import { median, report, type Sample } from './support/report.js';

const { values: flags } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    quick: { type: 'boolean', default: false },
    sockets: { type: 'string', default: '10000' },
  },
});
/** Files that a process has open beside its sockets. */
const OTHER_FILES = 200;
const WANTED = flags.quick ? Math.min(2_000, Number(flags.sockets)) : Number(flags.sockets);
const SOCKETS = Math.min(WANTED, openFilesLimit() - OTHER_FILES);
const REPEATS = flags.quick ? 1 : 3;
const CUSTOMERS = 1_000;
/** So long after the last socket is open nothing happens, so that garbage is collected as it is in an idle process, ms. */
const CALM_MS = flags.quick ? 3_000 : 15_000;
const SUBJECTS = ['app', 'uws', 'ws', 'socket.io'];
const KIB = 1024;

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

async function measure(subject: string, env: Readonly<Record<string, string>>): Promise<Sample> {
  const server = await Server.open(subject, env);
  // A few that come before it is looked at: what the first connection costs the process is no cost of a connection.
  const clients = await Clients.open(server.greeting, 100, CUSTOMERS);
  try {
    await pause(CALM_MS);
    const before = await server.cost();
    const begin = performance.now();
    await clients.more(server.greeting, SOCKETS - 100, CUSTOMERS);
    const seconds = (performance.now() - begin) / 1_000;
    const open = await server.cost();
    await pause(CALM_MS);
    const calm = await server.cost();
    const each = (bytes: number): number => bytes / KIB / (SOCKETS - 100);
    return {
      perSecond: (SOCKETS - 100) / seconds,
      processCpu: (open.cpuMs - before.cpuMs) / ((SOCKETS - 100) / 1_000),
      postgresCpu: undefined,
      peakRssMb: Math.max(open.rssBytes, calm.rssBytes) / KIB / KIB,
      figures: {
        kibEach: each(calm.rssBytes - before.rssBytes),
        kibEachAtFirst: each(open.rssBytes - before.rssBytes),
        idleCpuPercent: (calm.cpuMs - open.cpuMs) / (CALM_MS / 100),
      },
    };
  } finally {
    await clients.stop();
    await server.stop();
  }
}

if (SOCKETS < WANTED)
  console.log(`only ${SOCKETS} sockets: a process may have ${openFilesLimit()} files open here (ulimit -n)`);
const postgres = await startTemporaryPostgres();
try {
  const env = {
    DATABASE_URL: postgres.url,
    PORT: '0',
    REALTIME_PORT: '0',
    TIDEMARK_ROLES: 'api,projector,gateway',
  };
  const samples = new Map(SUBJECTS.map((subject): [string, Sample[]] => [subject, []]));
  for (let repeat = 0; repeat < REPEATS; repeat++)
    for (const subject of SUBJECTS) samples.get(subject)?.push(await measure(subject, env));
  const runs = SUBJECTS.map((subject) => ({
    subject: subject === 'app' ? 'tidemark' : subject,
    params: { sockets: SOCKETS },
    samples: samples.get(subject) ?? [],
  }));
  const kib = (subject: string): number =>
    median((samples.get(subject) ?? []).map(({ figures }) => figures?.['kibEach'] ?? Number.NaN));
  report({
    bench: 'connections',
    runs,
    ratios: SUBJECTS.filter((subject) => subject !== 'app')
      .map((peer) => ({
        name: `tidemark/${peer} kibEach sockets=${SOCKETS}`,
        value: kib('app') / kib(peer),
      }))
      // A few sockets may fit into what a process has anyway.
      .filter(({ value }) => Number.isFinite(value)),
    json: flags.json,
  });
} finally {
  await postgres.stop();
}
