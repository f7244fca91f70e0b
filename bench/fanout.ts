/**
 * `npm run bench -- fanout [--json] [--quick]`: 1,000 subscribers of one channel, and how many changes reach them. Tidemark's
 * gateway, whole, but that its changes come from memory and not from Postgres; against bare uWebSockets.js (publish of a text that is
 * there already), a loop over `ws`, and Socket.IO. All send the very same frame of about 300 bytes for a change. Servers and clients are
 * processes of their own; the clients count frames and do nothing else. Never more changes are under way than a few turns’ worth.
 */
import { parseArgs } from 'node:util';
import { Server } from './realtime/server.js';
import { CLIENT_PROCESSES, Clients } from './support/clients.js';
import { openFilesLimit } from './support/limits.js';
import { median, report, type Ratio, type Run, type Sample } from './support/report.js';

const { values: flags } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    quick: { type: 'boolean', default: false },
    subscribers: { type: 'string', default: '1000' },
  },
});
const SUBSCRIBERS = Math.min(Number(flags.subscribers), openFilesLimit() - 200);
const REPEATS = flags.quick ? 2 : 6;
const MEASURE_MS = flags.quick ? 1_000 : 3_000;
/** How often the server comes to publish: single changes that come one by one, and as many as a busy turn brings. */
const PER_TURN = [1, 50];
/** Turns’ worth of changes that may be under way; at least so many changes. */
const TURNS_IN_FLIGHT = 4;
const LEAST_IN_FLIGHT = 20;
/** Tidemark’s gateway first: the others are its peers. */
const SUBJECTS = ['gateway', 'uws', 'ws', 'socket.io'];
const COME_MS = 60_000;

interface Stand {
  readonly name: string;
  readonly server: Server;
  readonly clients: Clients;
}

async function open(name: string): Promise<Stand> {
  const server = await Server.open(name);
  return { name, server, clients: await Clients.open(server.greeting, SUBSCRIBERS, 1) };
}

async function window({ name, server, clients }: Stand, perTurn: number, ms: number): Promise<Sample> {
  const inFlight = Math.max(LEAST_IN_FLIGHT, perTurn * TURNS_IN_FLIGHT);
  let came = 0;
  let lastAt = 0n;
  let arrived: (() => void) | undefined;
  const before = await server.cost();
  const clientsBefore = clients.cpuMs();
  const end = clients.count((SUBSCRIBERS * inFlight) / 8, (frames, at) => {
    came = frames;
    lastAt = at;
    server.acknowledged(Math.floor(frames / SUBSCRIBERS));
    arrived?.();
  });
  const { published, beganAt } = await server.drive({ perTurn, inFlight, ms });
  const late = setTimeout(() => {
    throw new Error(`${name}: ${came} of ${published * SUBSCRIBERS} frames have come`);
  }, COME_MS);
  while (came < published * SUBSCRIBERS) await new Promise<void>((resolve) => (arrived = resolve));
  clearTimeout(late);
  end();
  const seconds = Number(lastAt - beganAt) / 1e9;
  const after = await server.cost();
  return {
    perSecond: came / seconds,
    processCpu: (after.cpuMs - before.cpuMs) / (came / 1_000),
    postgresCpu: undefined,
    peakRssMb: after.rssBytes / 2 ** 20,
    figures: {
      // Of all there are: near the number of their processes, and it is they who are measured.
      clientCores: (clients.cpuMs() - clientsBefore) / 1_000 / seconds,
      serverCores: (after.cpuMs - before.cpuMs) / 1_000 / seconds,
    },
  };
}

function ratiosOf(runs: readonly Run[]): Ratio[] {
  return PER_TURN.flatMap((perTurn) => {
    const of = (subject: string) =>
      runs.find((run) => run.subject === subject && run.params['changesPerTurn'] === perTurn)?.samples ?? [];
    const own = of('tidemark');
    const paired = (peer: string, ratio: (own: Sample, other: Sample) => number): number =>
      median(of(peer).flatMap((other, at) => (own[at] ? [ratio(own[at], other)] : [])));
    const params = `subscribers=${SUBSCRIBERS} changesPerTurn=${perTurn}`;
    return ['uws', 'ws', 'socket.io'].flatMap((peer) => [
      {
        name: `tidemark/${peer} perSecond ${params}`,
        value: paired(peer, (a, b) => a.perSecond / b.perSecond),
      },
      { name: `${peer}/tidemark cpu ${params}`, value: paired(peer, (a, b) => b.processCpu / a.processCpu) },
    ]);
  });
}

const stands: Stand[] = [];
try {
  for (const name of SUBJECTS) stands.push(await open(name));
  const runs = PER_TURN.flatMap((changesPerTurn) =>
    stands.map(({ name }) => ({
      subject: name === 'gateway' ? 'tidemark' : name,
      params: { subscribers: SUBSCRIBERS, changesPerTurn, clientProcesses: CLIENT_PROCESSES },
      samples: [] as Sample[],
    })),
  );
  for (let repeat = -1; repeat < REPEATS; repeat++) {
    for (const [turn, perTurn] of PER_TURN.entries()) {
      for (const [at, stand] of stands.entries()) {
        const measured = await window(stand, perTurn, repeat < 0 ? 500 : MEASURE_MS);
        // A round that does not count, for the compiler’s sake.
        if (repeat >= 0) runs[turn * stands.length + at]?.samples.push(measured);
      }
    }
  }
  report({ bench: 'fanout', runs, ratios: ratiosOf(runs), json: flags.json });
} finally {
  for (const { clients, server } of stands) {
    await clients.stop();
    await server.stop();
  }
}
