/** Kafka ahead of Postgres: the database goes back to a copy, and `tidemark doctor --new-epoch` begins a new epoch. */
import { eventually } from '../waiting.js';
import { isCaughtUp, openDatabase } from '../judge.js';
import { runDoctor } from '../doctor.js';
import type { Scenario, World } from '../world.js';

const ROLES = ['api', 'gateway', 'relay', 'projector', 'projector'];

const readiness = async (http: string): Promise<string> =>
  fetch(`${http}/readyz`).then(
    (answer) => answer.text(),
    () => '',
  );

/** Somewhat later than a copy of the database was made, everybody is killed and the copy put in its place. */
async function goBack(world: World): Promise<void> {
  const { cast, load, databases, below } = world;
  const forget = load.mark();
  const copy = await databases.copy();
  await load.more(60 + below(150));
  await load.stop();
  world.happened('database restored');
  await Promise.all(cast.of().map((actor) => cast.end(actor)));
  await databases.restore(copy);
  forget();
  await Promise.all(ROLES.map((roles) => cast.start(roles)));
  load.start();
}

export const restoredDatabase: Scenario = {
  name: 'restored-database',
  title:
    'the database is restored and Kafka is ahead of it: the relay stops until the doctor begins a new epoch',
  expect: { begin: 'fork', resets: true },
  async play(world) {
    const { app, cast, load, databases, below } = world;
    await load.more(80 + below(100));
    await goBack(world);
    const relay = cast.the('relay');
    await eventually('the relay tells of it', async () => (await readiness(relay.http)).includes('diverged'));
    await load.more(30 + below(100));
    await load.stop();
    const db = openDatabase(databases.url);
    try {
      await eventually('read models go on without the relay', () => isCaughtUp(db, app));
    } finally {
      await db.end();
    }
    load.start();
    await load.more(30);
    world.happened('doctor --new-epoch');
    await runDoctor(world);
    await load.more(60);
  },
};
