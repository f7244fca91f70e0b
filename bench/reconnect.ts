/**
 * `npm run bench -- reconnect [--json] [--quick]`: a gateway dies, and when another one is in its place, all of its subscribers come
 * back at once; the time until each is live, and the statements that the gateway asks Postgres for meanwhile, counted on the wire. They
 * watch 100 customers. `resume`: they go on from their positions, and each customer has had a new order; `snapshot`: they have
 * lost what they knew. The limit is the same number of clients that come back to bare uWebSockets.js, which has nothing to tell them.
 */
import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { parseArgs } from 'node:util';
import { startTemporaryPostgres } from '../src/app/embedded/temporary.js';
import { placeOrders } from './realtime/orders.js';
import { Server } from './realtime/server.js';
import { Clients } from './support/clients.js';
import { startCountingProxy, type CountingProxy } from './support/counting-proxy.js';
import { openFilesLimit } from './support/limits.js';
import { median, report, type Run, type Sample } from './support/report.js';

const { values: flags } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    quick: { type: 'boolean', default: false },
    sockets: { type: 'string', default: '10000' },
  },
});
const OTHER_FILES = 200;
const WANTED = flags.quick ? Math.min(2_000, Number(flags.sockets)) : Number(flags.sockets);
const MANY = Math.min(WANTED, openFilesLimit() - OTHER_FILES);
/** What the many are compared with. */
const COUNTS = [Math.round(MANY / 10), MANY];
const REPEATS = flags.quick ? 1 : 3;
const CUSTOMERS = 100;
const ORDERS_EACH = flags.quick ? 2 : 20;
const HOWS = ['resume', 'snapshot'] as const;

interface Setting {
  readonly http: string;
  readonly gateway: Readonly<Record<string, string>>;
  readonly proxy: CountingProxy;
}

let rounds = 0;

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo; // a TCP server's address is never a string
  server.close();
  await once(server, 'close');
  return port;
}

const sampleOf = (sockets: number, ms: number, cpuMs: number, figures: Record<string, number>): Sample => ({
  perSecond: sockets / (ms / 1_000),
  processCpu: cpuMs / (sockets / 1_000),
  postgresCpu: undefined,
  figures: { allLiveMs: ms, ...figures },
});

async function tidemark(setting: Setting, sockets: number, how: (typeof HOWS)[number]): Promise<Sample> {
  const { http, gateway, proxy } = setting;
  const first = await Server.open('app', gateway);
  const greeting = { ...first.greeting, resumes: how === 'resume' };
  const clients = await Clients.open(greeting, sockets, CUSTOMERS);
  await first.stop();
  await placeOrders(http, CUSTOMERS, CUSTOMERS, `r${rounds++}`);
  const second = await Server.open('app', gateway);
  try {
    const before = await second.cost();
    const statements = proxy.statements;
    const ms = await clients.comeBack();
    const asked = proxy.statements - statements;
    const after = await second.cost();
    return sampleOf(sockets, ms, after.cpuMs - before.cpuMs, { statements: asked });
  } finally {
    await clients.stop();
    await second.stop();
  }
}

async function bare(sockets: number): Promise<Sample> {
  const server = await Server.open('uws');
  const clients = await Clients.open(server.greeting, sockets, CUSTOMERS);
  try {
    const before = await server.cost();
    const ms = await clients.comeBack();
    const after = await server.cost();
    return sampleOf(sockets, ms, after.cpuMs - before.cpuMs, {});
  } finally {
    await clients.stop();
    await server.stop();
  }
}

if (MANY < WANTED)
  console.log(`only ${MANY} sockets: a process may have ${openFilesLimit()} files open here (ulimit -n)`);
const postgres = await startTemporaryPostgres();
const proxy = await startCountingProxy(postgres.url);
const port = await freePort();
const rest = await Server.open('app', {
  DATABASE_URL: postgres.url,
  PORT: String(port),
  TIDEMARK_ROLES: 'api,projector',
});
try {
  const http = `http://127.0.0.1:${port}`;
  await placeOrders(http, CUSTOMERS * ORDERS_EACH, CUSTOMERS, 'o');
  const setting: Setting = {
    http,
    proxy,
    gateway: {
      DATABASE_URL: proxy.url,
      PORT: '0',
      // The clients come back to where they were.
      REALTIME_PORT: String(await freePort()),
      TIDEMARK_ROLES: 'gateway',
    },
  };
  const runs: (Run & { readonly samples: Sample[] })[] = COUNTS.flatMap((sockets) => [
    ...HOWS.map((how) => ({
      subject: 'tidemark',
      params: { sockets, channels: CUSTOMERS, how },
      samples: [],
    })),
    { subject: 'uws', params: { sockets }, samples: [] },
  ]);
  for (let repeat = 0; repeat < REPEATS; repeat++)
    for (const { subject, params, samples } of runs) {
      const sockets = Number(params['sockets']);
      const how = HOWS.find((one) => one === params['how']);
      samples.push(subject === 'uws' || !how ? await bare(sockets) : await tidemark(setting, sockets, how));
    }
  const figure = (name: string, sockets: number, how?: string): number => {
    const found = runs.find(({ params }) => params['sockets'] === sockets && params['how'] === how);
    return median((found?.samples ?? []).map(({ figures }) => figures?.[name] ?? Number.NaN));
  };
  const [few = 0, many = 0] = COUNTS;
  report({
    bench: 'reconnect',
    runs,
    ratios: HOWS.flatMap((how) => [
      {
        name: `tidemark statements sockets=${many}/${few} how=${how}`,
        value: figure('statements', many, how) / figure('statements', few, how),
      },
      {
        name: `tidemark/uws allLiveMs sockets=${many} how=${how}`,
        value: figure('allLiveMs', many, how) / figure('allLiveMs', many),
      },
    ]),
    json: flags.json,
  });
} finally {
  await rest.stop();
  await proxy.stop();
  await postgres.stop();
}
