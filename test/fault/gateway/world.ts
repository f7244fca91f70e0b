/** Everything that one run of a scenario of the gateway has: a database, the processes, the load, subscribers; and its end. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import type { AnyApp } from '../../../src/domain/app.js';
import { randomFrom } from '../../support/random.js';
import { startRoughProxy, type RoughProxy } from '../../support/rough-proxy.js';
import { Cast, type Actor } from '../stage/cast.js';
import { Databases } from '../stage/databases.js';
import type { FailingPostgres } from '../stage/failing-postgres.js';
import { isCaughtUp, openDatabase, PATIENCE_MS, readModelFindings, some, until } from '../stage/findings.js';
import { Load, type LoadOptions } from '../stage/load.js';
import { MemoryWatch } from '../stage/memory.js';
import type { Metrics } from '../stage/metrics.js';
import { PAPER_VARIABLE, REVOKED_VARIABLE, watchedApp } from './app.js';
import { Fleet } from './fleet/fleet.js';
import type { Watched } from './fleet/messages.js';
import { headsOf, judgeWatchers, type Finding } from './judge.js';

const APP = fileURLToPath(new URL('../../support/watched-app.ts', import.meta.url));
/** Three heartbeats of the server. */
const SILENCE_MS = 45_000;
/** Of each process. One that needs more ends, which is a fault. */
const HEAP_MB = 512;

/** What a scenario has in its hands. */
export interface World {
  readonly app: AnyApp;
  readonly cast: Cast;
  readonly load: Load;
  readonly memory: MemoryWatch;
  /** @throws Error where the Postgres is not the scenario's own */
  readonly server: FailingPostgres;
  /** @throws Error where there is no network between subscribers and gateway that one could break */
  readonly network: RoughProxy;
  /** A random whole number from 0 to below its argument; the schedule comes from it. */
  readonly below: (below: number) => number;
  /** Whole numbers only: as many as the scale says and one at least. */
  times(usual: number): number;
  /** Resolves when so many more events are acknowledged, as the scale says, but enough to be seen. */
  events(usual: number): Promise<void>;
  /** Writes down a fault, for the line. */
  happened(fault: string): void;
  /** Subscribers in a process of their own; resolves when all are live. */
  recruit(watchers: readonly Watched[]): Promise<Fleet>;
  /** The subscribers that are there. */
  readonly fleets: readonly Fleet[];
  /** These tokens are good no more, where there are rights. */
  revoke(tokens: readonly string[]): Promise<void>;
  /** Ends the process that subscribers are at, and starts another one with its roles; they are told where it is. */
  replaceGateway(signal: 'SIGKILL' | 'SIGTERM'): Promise<void>;
}

export interface Scenario {
  readonly name: string;
  readonly title: string;
  /** It needs a Postgres of its own. */
  readonly server?: true;
  /** A network that can be broken stands between subscribers and gateway. */
  readonly network?: true;
  /** Subscribers show tokens, and see what is theirs. */
  readonly rights?: true;
  /** Roles of the processes that are there at the beginning; each is a process. */
  roles?(below: (below: number) => number): readonly string[];
  readonly load?: Partial<LoadOptions>;
  /** Bytes of a row of `papers`, about. */
  readonly paperBytes?: number;
  /** The gateway's memory may grow by so much at the most once subscribers are there, MB. */
  readonly maxGrowthMb: number;
  /** Subscribers may have to begin anew. */
  readonly resets?: true;
  /** Subscribers that are there before the load begins. */
  watchers(world: World): readonly Watched[];
  /** Faults under load; the load has begun, and is stopped afterwards. @throws Error when something is not as it should be */
  play(world: World): Promise<void>;
}

export interface Outcome extends Finding {
  readonly seed: number;
  readonly happened: readonly string[];
  readonly acknowledged: number;
  readonly subscribers: number;
  readonly connections: number;
  readonly resets: number;
  readonly metrics: Metrics;
  readonly peakMb: number;
  readonly growthMb: number;
  readonly seconds: number;
  /** Logs of the processes; gone when all is well. */
  readonly folder: string;
}

export interface Place {
  /** A Postgres of whom may create databases. */
  readonly postgresUrl: string;
  /** Where the Postgres is the scenario's own: it may be stopped. */
  readonly server?: FailingPostgres;
}

const DEFAULT_ROLES = ['api,projector,gateway'];
/** A small machine has the subscribers to feed as well. */
const DEFAULT_LOAD: Partial<LoadOptions> = { writers: 4, customers: 12, breathMs: 20 };

class Run implements World {
  readonly app: AnyApp;
  readonly cast: Cast;
  readonly load: Load;
  readonly memory: MemoryWatch;
  readonly below: (below: number) => number;
  readonly fleets: Fleet[] = [];
  readonly happenings: string[] = [];
  readonly #scenario: Scenario;
  readonly #place: Place;
  readonly #scale: number;
  readonly #revoked: string;
  #network: RoughProxy | undefined;

  constructor(
    scenario: Scenario,
    place: Place,
    options: { readonly seed: number; readonly scale: number; readonly url: string; readonly folder: string },
  ) {
    const { seed, scale, url, folder } = options;
    const bytes = scenario.paperBytes ?? 200;
    this.#scenario = scenario;
    this.#place = place;
    this.#scale = scale;
    this.below = randomFrom(seed);
    this.app = watchedApp(bytes);
    this.#revoked = path.join(folder, 'revoked');
    const env = {
      // So that what is looked at is what is needed, not what nobody has yet tidied away: without it, Node takes its time.
      NODE_OPTIONS: `${process.env['NODE_OPTIONS'] ?? ''} --max-old-space-size=${HEAP_MB}`,
      [PAPER_VARIABLE]: String(bytes),
      ...(scenario.rights ? { [REVOKED_VARIABLE]: this.#revoked } : {}),
    };
    this.cast = new Cast({ module: APP, env, databaseUrl: () => url, folder });
    const base = (): string => this.cast.of('api').at(-1)?.http ?? '';
    this.load = new Load(base, seed, { ...DEFAULT_LOAD, ...scenario.load });
    this.memory = new MemoryWatch(this.cast, 'gateway');
  }

  get server(): FailingPostgres {
    if (!this.#place.server) throw new Error(`${this.#scenario.name} needs a Postgres of its own`);
    return this.#place.server;
  }

  get network(): RoughProxy {
    if (!this.#network) throw new Error(`${this.#scenario.name} needs a network that can be broken`);
    return this.#network;
  }

  // Taken apart by scenarios, so that they keep what they belong to.
  readonly times = (usual: number): number => Math.max(1, Math.round(usual * this.#scale));

  readonly events = (usual: number): Promise<void> => this.load.more(Math.max(15, this.times(usual)));

  readonly happened = (fault: string): void => void this.happenings.push(fault);

  readonly revoke = (tokens: readonly string[]): Promise<void> =>
    writeFile(this.#revoked, tokens.join('\n'), { flush: true });

  async begin(seed: number): Promise<void> {
    await this.revoke([]);
    const roles = this.#scenario.roles?.(this.below) ?? DEFAULT_ROLES;
    await Promise.all(roles.map((one) => this.cast.start(one)));
    if (!this.#scenario.network) return;
    this.#network = await startRoughProxy({
      seed,
      target: () => {
        const { hostname, port } = new URL(this.#gateway()?.realtime || 'ws://127.0.0.1:9');
        return { host: hostname, port: Number(port) };
      },
      delayMs: 60,
      pieceBytes: 2_000,
    });
  }

  #gateway(): Actor | undefined {
    return this.cast.of('gateway').at(-1);
  }

  get #url(): string {
    if (this.#network) return `ws://127.0.0.1:${this.#network.port}/realtime`;
    return this.#gateway()?.realtime || 'ws://127.0.0.1:9';
  }

  readonly recruit = async (watchers: readonly Watched[]): Promise<Fleet> => {
    const { shards } = this.app;
    const fleet = new Fleet({ url: this.#url, shards, watchers, silenceMs: SILENCE_MS });
    this.fleets.push(fleet);
    await fleet.allLive();
    return fleet;
  };

  readonly replaceGateway = async (signal: 'SIGKILL' | 'SIGTERM'): Promise<void> => {
    const actor = this.cast.the('gateway');
    await this.cast.end(actor, signal);
    await this.cast.start(actor.roles);
    for (const fleet of this.fleets) fleet.moved(this.#url);
  };

  async stop(): Promise<void> {
    this.memory.stop();
    await Promise.all(this.fleets.map((fleet) => fleet.stop()));
    await this.#network?.stop();
    await this.cast.stop();
    await this.load.stop(0);
  }
}

async function play(scenario: Scenario, run: Run): Promise<string[]> {
  try {
    const watchers = scenario.watchers(run);
    if (watchers.length > 0) await run.recruit(watchers);
    run.memory.calm();
    run.load.start();
    await run.events(20);
    await scenario.play(run);
    return [];
  } catch (error) {
    return [`the scenario did not get to its end: ${error instanceof Error ? error.message : String(error)}`];
  }
}

/** Waits until everybody has everything, and looks at it. The load has stopped. */
async function judge(run: Run, url: string, isWhole: boolean) {
  const { app, fleets, load } = run;
  const db = openDatabase(url);
  try {
    const faults = [...load.faults];
    if (!(await until(() => isCaughtUp(db, app))))
      faults.push(`the projections have not caught up within ${PATIENCE_MS} ms`);
    const heads = await headsOf(db, app);
    const settled = async (): Promise<boolean> => {
      const all = await Promise.all(fleets.map((fleet) => fleet.status(heads)));
      return all.every((status, index) => status.settled === fleets[index]?.size);
    };
    // Who did not get to the end is not waited for.
    if (isWhole && !(await until(settled)))
      faults.push(`not all subscribers have been told of everything within ${PATIENCE_MS} ms`);
    const reports = (await Promise.all(fleets.map((fleet) => fleet.report()))).flat();
    const found = await judgeWatchers(db, app, reports);
    faults.push(...some(found.faults), ...(await readModelFindings(db, app)));
    return {
      ...found,
      faults,
      subscribers: reports.length,
      connections: reports.reduce((sum, { connections }) => sum + connections, 0),
      resets: reports.reduce((sum, { resets }) => sum + resets.length, 0),
    };
  } finally {
    await db.end();
  }
}

/** Runs a scenario and judges it. */
export async function runScenario(
  scenario: Scenario,
  place: Place,
  { seed, scale }: { readonly seed: number; readonly scale: number },
): Promise<Outcome> {
  const begun = performance.now();
  const folder = await mkdtemp(path.join(tmpdir(), `tidemark-fault-${scenario.name}-`));
  const databases = await Databases.create(place.postgresUrl);
  const run = new Run(scenario, place, { seed, scale, url: databases.url, folder });
  try {
    await run.begin(seed);
    const faults = await play(scenario, run);
    for (const fleet of run.fleets) if (fleet.frozen) fleet.thaw();
    await run.load.stop();
    const verdict = await judge(run, databases.url, faults.length === 0);
    const { peakMb, growthMb } = run.memory;
    if (growthMb > scenario.maxGrowthMb)
      faults.push(`the gateway's memory grew by ${growthMb} MB, ${scenario.maxGrowthMb} MB are allowed`);
    if (verdict.resets > 0 && !scenario.resets) faults.push(`subscribers were reset ${verdict.resets} times`);
    const metrics = await run.cast.metrics();
    const all = [...faults, ...run.cast.fates, ...verdict.faults];
    if (all.length === 0) await rm(folder, { recursive: true, force: true });
    const seconds = (performance.now() - begun) / 1_000;
    const { acknowledged } = run.load;
    const told = { seed, happened: run.happenings, acknowledged, metrics, peakMb, growthMb, seconds, folder };
    return { ...verdict, ...told, faults: all };
  } finally {
    await run.stop();
    await databases.drop();
  }
}
