/** Everything that one run of a scenario has: a database, a Kafka, the processes, the load, a subscriber; and its end. */
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import type { AnyApp } from '../../../src/domain/app.js';
import { Subscriber } from '../../e2e/support/subscriber.js';
import type { KafkaCluster } from '../../support/kafka/cluster.js';
import { kafkaTools } from '../../support/kafka/tools.js';
import { randomFrom } from '../../support/random.js';
import { Cast } from '../stage/cast.js';
import { Databases } from '../stage/databases.js';
import type { FailingPostgres } from '../stage/failing-postgres.js';
import { Load } from '../stage/load.js';
import type { Metrics } from '../stage/metrics.js';
import { appNamed, NAME_VARIABLE } from './app.js';
import { judge, type Expectations, type Verdict } from './judge.js';
import { topicsOf, type Tools } from './topics.js';

/** Where a scenario plays. */
export interface Place {
  /** A Postgres of whom may create databases. */
  readonly postgresUrl: string;
  readonly brokers: readonly string[];
  /** Where the brokers are the scenario's own: they may be killed. */
  readonly cluster?: KafkaCluster;
  /** Where the Postgres is the scenario's own: it may fail. */
  readonly server?: FailingPostgres;
}

/** What a scenario has in its hands. */
export interface World {
  readonly app: AnyApp;
  readonly cast: Cast;
  readonly load: Load;
  readonly tools: Tools;
  readonly databases: Databases;
  readonly brokers: readonly string[];
  /** @throws Error where the brokers are not the scenario's own */
  readonly cluster: KafkaCluster;
  /** @throws Error where the Postgres is not the scenario's own */
  readonly server: FailingPostgres;
  /** A random whole number from 0 to below its argument; the schedule comes from it. */
  readonly below: (below: number) => number;
  /** How much of everything; 1 is the usual. */
  readonly scale: number;
  /** Whole numbers only: rounds or events, as many as the scale says and one at least. */
  times(usual: number): number;
  /** Writes down a fault, for the line. */
  happened(fault: string): void;
}

export interface Scenario {
  readonly name: string;
  readonly title: string;
  /** Brokers of its own; none: any will do. */
  readonly brokers?: 1 | 3;
  /** It needs a Postgres of its own. */
  readonly server?: true;
  /** Roles of the processes that are there at the beginning; each is a process. */
  readonly roles?: readonly string[];
  readonly expect?: Partial<Expectations>;
  /** Faults under load; the load has begun, and is stopped afterwards. */
  play(world: World): Promise<void>;
}

export interface RunOptions {
  readonly seed: number;
  readonly scale: number;
}

export interface Outcome extends Verdict {
  readonly seed: number;
  readonly happened: readonly string[];
  readonly metrics: Metrics;
  readonly seconds: number;
  /** Logs of the processes; gone when all is well. */
  readonly folder: string;
}

/** The module of the application. */
const APP = fileURLToPath(new URL('../../support/faults-app.ts', import.meta.url));
const ROLES = ['api', 'gateway', 'relay', 'projector', 'projector'];

async function play(scenario: Scenario, world: World): Promise<string[]> {
  world.load.start();
  try {
    await world.load.more(world.times(20));
    await scenario.play(world);
    return [];
  } catch (error) {
    return [`the scenario did not get to its end: ${error instanceof Error ? error.message : String(error)}`];
  }
}

/** Runs a scenario and judges it. */
export async function runScenario(
  scenario: Scenario,
  place: Place,
  { seed, scale }: RunOptions,
): Promise<Outcome> {
  const begun = performance.now();
  const folder = await mkdtemp(path.join(tmpdir(), `tidemark-fault-${scenario.name}-`));
  const app = appNamed(`f_${randomBytes(5).toString('hex')}`);
  const databases = await Databases.create(place.postgresUrl);
  const cast = new Cast({
    module: APP,
    env: { [NAME_VARIABLE]: app.name, KAFKA_BROKERS: place.brokers.join(',') },
    databaseUrl: () => databases.url,
    folder,
  });
  const load = new Load(() => cast.of('api').at(-1)?.http ?? '', seed);
  const happened: string[] = [];
  const world: World = {
    app,
    cast,
    load,
    tools: kafkaTools(place.brokers),
    databases,
    brokers: place.brokers,
    get cluster() {
      if (!place.cluster) throw new Error(`${scenario.name} needs brokers of its own`);
      return place.cluster;
    },
    get server() {
      if (!place.server) throw new Error(`${scenario.name} needs a Postgres of its own`);
      return place.server;
    },
    below: randomFrom(seed),
    scale,
    times: (usual) => Math.max(1, Math.round(usual * scale)),
    happened: (fault) => happened.push(fault),
  };
  let subscriber: Subscriber | undefined;
  try {
    await Promise.all((scenario.roles ?? ROLES).map((roles) => cast.start(roles)));
    const seen = new Subscriber(() => cast.of('gateway').at(-1)?.realtime || 'ws://127.0.0.1:9', {
      view: 'journal',
    });
    subscriber = seen;
    await seen.until(() => seen.lives > 0);
    const faults = await play(scenario, world);
    for (const actor of cast.of()) if (actor.frozen) actor.thaw();
    await load.stop();
    const expected: Expectations = { begin: 'first', resets: false, ...scenario.expect };
    const judged = { app, databaseUrl: databases.url, tools: world.tools, load, subscriber: seen };
    const verdict = await judge(judged, expected);
    const metrics = await cast.metrics();
    const all = [...faults, ...cast.fates, ...verdict.faults];
    if (all.length === 0) await rm(folder, { recursive: true, force: true });
    const seconds = (performance.now() - begun) / 1_000;
    return { ...verdict, faults: all, seed, happened, metrics, seconds, folder };
  } finally {
    subscriber?.close();
    await cast.stop();
    await load.stop(0);
    await databases.drop();
    const shared = place.cluster === undefined;
    for (const { topic } of shared ? topicsOf(app) : [])
      await world.tools.deleteTopic(topic).catch(() => undefined);
  }
}
