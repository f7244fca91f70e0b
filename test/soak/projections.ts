/**
 * `npm run soak -- projections --minutes 10 [--seed 1]`: tears at projectors for as long as it is told to. A Postgres of its own, several
 * projector processes (some behind a network that loses things), events at random, and in each round a few of: processes that are killed,
 * paused and woken, connections that are cut, commits whose answer is lost, a Postgres that stops at once, projections that are paused
 * and resumed. After each round everybody catches up, and every row must be a fold of the events, every change be there once. A round has
 * its own seed, which its line tells; at the first fault it ends with 1 and says which.
 */
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { startEmbeddedPostgres, type EmbeddedPostgres } from '../../src/app/embedded/postgres.js';
import { silentLogger } from '../../src/platform/logger.js';
import { isUnavailable } from '../../src/platform/postgres/sqlstate.js';
import { startFlakyProxy, type FlakyProxy, type Trap } from '../support/flaky-proxy.js';
import { serverPid } from '../support/server-pid.js';
import { startProjecting, type ProjectingProcess } from '../support/projecting.js';
import { randomFrom } from '../support/random.js';
import { torn } from '../support/tearing/app.js';
import { Crew } from '../support/tearing/crew.js';
import { tornFaults } from '../support/tearing/faults.js';
import { Season } from '../support/tearing/season.js';
import { pauseProjection, resumeProjection } from '../../src/projections/versions/pausing.js';
import { applyFunction } from '../../src/projections/names.js';

const CREW = 4;
const ACTS = 40;
/** The embedded Postgres is not started again more often than this. */
const BETWEEN_STOPS_MS = 30_000;
const CATCH_UP_MS = 120_000;
const TRAPS: readonly Trap['how'][] = ['lose-answer', 'lose-question', 'keep-question'];

interface World {
  readonly postgres: EmbeddedPostgres;
  readonly proxy: FlakyProxy;
  readonly one: ProjectingProcess;
  readonly crew: Crew;
  /** Those behind the proxy. */
  readonly far: Crew;
  stoppedAt: number;
}

type Below = (below: number) => number;

const crewOf = ({ crew, far }: World) => [...crew.workers, ...far.workers];

async function man(world: World, below: Below): Promise<void> {
  while (crewOf(world).length < CREW) {
    const crew = below(2) === 0 ? world.crew : world.far;
    // One whose start is cut off ends, and is started again.
    await crew.start(1 + below(200)).catch(() => undefined);
  }
}

/** What can happen, each with what it is called. */
const HAPPENINGS: Readonly<Record<string, (world: World, below: Below) => Promise<void>>> = {
  kill: async (world, below) => {
    const workers = crewOf(world);
    await workers[below(workers.length)]?.kill();
    await man(world, below);
  },
  pause: async (world, below) => {
    const awake = crewOf(world).filter(({ paused }) => !paused);
    if (awake.length > 1) awake[below(awake.length)]?.pause();
  },
  wake: async (world) => {
    for (const worker of crewOf(world)) worker.wake();
  },
  cut: async ({ one }) => {
    await one.db.query(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()
       AND (application_name = 'tidemark:leases' OR query ~ '_apply')`,
    );
  },
  pull: async ({ proxy }) => proxy.cut(),
  trap: async ({ proxy }, below) => {
    const texts = [...torn.views.map((projection) => applyFunction(projection)), 'COMMIT'];
    const how = TRAPS[below(TRAPS.length)] ?? 'lose-answer';
    proxy.trap = { text: texts[below(texts.length)] ?? 'COMMIT', how };
  },
  deliver: async ({ proxy }) => void proxy.deliver(),
  stop: async (world, below) => {
    if (performance.now() - world.stoppedAt < BETWEEN_STOPS_MS) return;
    world.stoppedAt = performance.now();
    const pid = await serverPid(world.postgres.dataDir);
    process.kill(pid, below(2) === 0 ? 'SIGKILL' : 'SIGQUIT');
  },
  operator: async ({ one }, below) => {
    const version = torn.projections[below(torn.projections.length)];
    if (!version) return;
    await pauseProjection(one.db, version);
    await resumeProjection(one.db, version);
  },
};
const NAMES = Object.keys(HAPPENINGS);

/** Nothing is said of an outage: it is what the round is about. */
async function unlessUnavailable(work: Promise<unknown>): Promise<void> {
  await work.catch((error: unknown) => {
    if (!isUnavailable(error)) throw error;
  });
}

async function caughtUp({ one }: World): Promise<void> {
  const until = performance.now() + CATCH_UP_MS;
  for (;;) {
    try {
      const left = Math.max(0, Math.ceil(until - performance.now()));
      const late = AbortSignal.timeout(left);
      await Promise.race([
        one.caughtUp(),
        new Promise((_resolve, reject) => {
          late.addEventListener('abort', () => reject(new Error(`not caught up within ${CATCH_UP_MS} ms`)));
        }),
      ]);
      return;
    } catch (error) {
      if (!isUnavailable(error) || performance.now() >= until) throw error;
      // The server is on its way back.
      await new Promise((resolve) => setTimeout(resolve, 250));
    }
  }
}

async function round(world: World, seed: number): Promise<{ happened: string; faults: string[] }> {
  const below = randomFrom(seed);
  const season = new Season(world.one.store, below, { failed: () => undefined });
  const happened: string[] = [];
  for (let n = 0; n < ACTS; n++) {
    await season.act();
    if (below(4) > 0) continue;
    const name = NAMES[below(NAMES.length)] ?? 'wake';
    happened.push(name);
    await unlessUnavailable(HAPPENINGS[name]?.(world, below) ?? Promise.resolve());
  }
  world.proxy.trap = undefined;
  for (const worker of crewOf(world)) worker.wake();
  await caughtUp(world);
  return { happened: happened.join(' '), faults: await tornFaults(world.one.db, world.one.store, torn) };
}

async function begin(folder: string): Promise<World> {
  const postgres = await startEmbeddedPostgres({ projectDir: folder, logger: silentLogger });
  const proxy = await startFlakyProxy(postgres.url);
  const one = await startProjecting(postgres.url, torn, { idle: true });
  return {
    postgres,
    proxy,
    one,
    crew: new Crew(postgres.url),
    far: new Crew(proxy.url),
    stoppedAt: performance.now(),
  };
}

async function end({ postgres, proxy, one, crew, far }: World): Promise<void> {
  await Promise.all([crew.stop(), far.stop()]);
  await one.stop();
  await proxy.stop();
  await postgres.stop();
}

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '10' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
  },
});
const until = performance.now() + Number(values.minutes) * 60_000;
// Below root's own folder, Postgres's account could not go.
const folder = await mkdtemp('/tmp/tidemark-soak-');
await chmod(folder, 0o755);
const world = await begin(folder);
let failed = false;
try {
  await man(world, randomFrom(Number(values.seed)));
  for (let n = 0; performance.now() < until && !failed; n++) {
    const seed = Number(values.seed) + n;
    const begun = performance.now();
    const { happened, faults } = await round(world, seed);
    const [events] = await world.one.db.query<[number]>(`SELECT count(*)::int FROM tidemark.events`);
    const seconds = ((performance.now() - begun) / 1_000).toFixed(1);
    console.log(`round ${n + 1}, seed ${seed}: ${seconds} s, ${events?.[0] ?? 0} events; ${happened}`);
    for (const fault of faults) console.log(`  FAULT ${fault}`);
    failed = faults.length > 0;
  }
} finally {
  await end(world);
  await rm(folder, { recursive: true, force: true, maxRetries: 5 });
}
console.log(failed ? 'faults were found' : 'no fault was found');
process.exitCode = failed ? 1 : 0;
