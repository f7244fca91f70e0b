/** A server in a process of its own: opened, driven, and asked what it costs. */
import { openGateway } from './gateway.js';
import { openUws, openWs } from './peers.js';
import type { FromServer, ToServer } from './server.js';
import type { OpenSubject, RealtimeSubject } from './subject.js';
import { openApp } from './whole-app.js';

const SOCKET_IO = new URL('../peers/socket-io.js', import.meta.url).href;

const SUBJECTS: Readonly<Record<string, OpenSubject>> = {
  gateway: openGateway,
  app: openApp,
  uws: openUws,
  ws: openWs,
  'socket.io': async (env) => {
    // Its packages are those of bench/peers, whose types this program does not know.
    const { openSocketIo } = (await import(SOCKET_IO)) as { openSocketIo: OpenSubject };
    return openSocketIo(env);
  },
};

const tell = (message: FromServer): void => void process.send?.(message);

let acknowledged = 0;
let wake: (() => void) | undefined;

async function drive(subject: RealtimeSubject, { perTurn, inFlight, ms }: ToServer & { t: 'drive' }) {
  acknowledged = 0;
  let published = 0;
  const beganAt = process.hrtime.bigint();
  const until = performance.now() + ms;
  while (performance.now() < until) {
    subject.publish(perTurn);
    published += perTurn;
    if (published - acknowledged <= inFlight) await new Promise(setImmediate);
    else
      while (published - acknowledged > inFlight - perTurn)
        await new Promise<void>((resolve) => (wake = resolve));
  }
  tell({ t: 'driven', published, beganAt });
}

const { subject: name = '', env = {} } = JSON.parse(process.argv[2] ?? '{}') as {
  subject?: string;
  env?: Record<string, string>;
};
const open = SUBJECTS[name];
if (!open) throw new Error(`no subject "${name}"; there are ${Object.keys(SUBJECTS).join(', ')}`);
const subject = await open(env);

process.on('message', (message: ToServer) => {
  switch (message.t) {
    case 'drive':
      return void drive(subject, message);
    case 'acknowledged':
      acknowledged = message.changes;
      wake?.();
      return;
    case 'cost': {
      const { user, system } = process.cpuUsage();
      tell({ t: 'cost', cpuMs: (user + system) / 1_000, rssBytes: process.memoryUsage.rss() });
    }
  }
});
process.on('disconnect', () => process.kill(process.pid, 'SIGKILL'));
tell({ t: 'open', greeting: subject.greeting });
