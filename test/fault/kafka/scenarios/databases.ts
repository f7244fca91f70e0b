/** Kafka ahead of Postgres: the database goes back to a copy, and `tidemark doctor --new-epoch` begins a new epoch. */
import { eventually } from '../../stage/waiting.js';
import { whatTopicsHold } from '../topics.js';
import { isCaughtUp, openDatabase } from '../../stage/findings.js';
import { runDoctor } from '../doctor.js';
import type { Scenario, World } from '../world.js';

const readiness = async (http: string): Promise<string> =>
  fetch(`${http}/readyz`).then(
    (answer) => answer.text(),
    () => '',
  );

/** Postgres goes back to an earlier moment. @returns goes there, and says what it was */
type TimeMachine = (world: World) => Promise<() => Promise<string>>;

/** A copy is put in the place of the database, by chance under everybody's feet, else while nobody is there. */
const byCopy: TimeMachine = async ({ databases, cast, below }) => {
  const copy = await databases.copy();
  const underFeet = below(2) === 0;
  return async () => {
    const all = cast.of();
    if (!underFeet) await Promise.all(all.map((actor) => cast.end(actor)));
    await databases.restore(copy);
    if (!underFeet) await Promise.all(all.map(({ roles }) => cast.start(roles)));
    return underFeet ? 'database restored under everybody' : 'database restored';
  };
};

/** The server dies, and one that has not got all of its log takes its place: another timeline. */
const byFailover: TimeMachine = async ({ server }) => {
  await server.keep();
  return async () => {
    await server.failOver();
    return 'failover that lost its tail';
  };
};

/** Kafka is ahead only of what it has. */
async function untilSent({ app, databases, tools }: World): Promise<void> {
  const db = openDatabase(databases.url);
  try {
    const { faults } = await whatTopicsHold(app, db, tools, { begin: 'first', patienceMs: 120_000 });
    if (faults.length > 0) throw new Error(`not everything is in Kafka: ${faults.join('; ')}`);
  } finally {
    await db.end();
  }
}

async function goBack(world: World, machine: TimeMachine): Promise<void> {
  const { load, below, times, happened } = world;
  const forget = load.mark();
  const back = await machine(world);
  await load.more(times(60 + below(150)));
  await load.stop();
  await untilSent(world);
  happened(await back());
  forget();
  load.start();
}

async function untilToldAndMended(world: World): Promise<void> {
  const { app, cast, load, databases, below, times, happened } = world;
  const relay = cast.the('relay');
  await eventually('the relay tells of it', async () =>
    (await readiness(relay.http)).includes('doctor --new-epoch'),
  );
  await load.more(times(30 + below(100)));
  await load.stop();
  const db = openDatabase(databases.url);
  try {
    await eventually('read models go on without the relay', () => isCaughtUp(db, app));
  } finally {
    await db.end();
  }
  load.start();
  await load.more(times(30));
  happened('doctor --new-epoch');
  await runDoctor(world);
  await load.more(times(60));
}

const behindKafka = (machine: TimeMachine): Pick<Scenario, 'expect' | 'play'> => ({
  expect: { begin: 'fork', resets: true },
  async play(world) {
    await world.load.more(world.times(80 + world.below(100)));
    await goBack(world, machine);
    await untilToldAndMended(world);
  },
});

export const restoredDatabase: Scenario = {
  name: 'restored-database',
  title:
    'the database is restored and Kafka is ahead of it: the relay stops until the doctor begins a new epoch',
  ...behindKafka(byCopy),
};

export const failover: Scenario = {
  name: 'failover',
  title: 'Postgres fails over and loses its tail, under everybody: as above',
  server: true,
  ...behindKafka(byFailover),
};
