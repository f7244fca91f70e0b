/**
 * The most telling faults with a real Kafka, in short: the relay is killed between send and cursor, a frozen relay goes on after
 * another took its shards, records are never sent, a topic is deleted; then a database that was restored behind Kafka. All
 * of them, and more of each: `npm run fault -- all`.
 */
import { expect, inject, it } from 'vitest';
import { describeKafka, kafkaBrokers } from '../../support/kafka.js';
import { lineOf } from './line.js';
import { restoredDatabase } from './scenarios/databases.js';
import { lostTail, relayKilled, zombieRelay } from './scenarios/relay.js';
import { topicRemade } from './scenarios/topics.js';
import { runScenario, type Scenario } from './world.js';

const SCALE = 0.2;
/** On a machine that has much else to do. */
const TIMEOUT = { timeout: 400_000 };

const relays: Scenario = {
  name: 'relays',
  title: 'one after the other',
  roles: ['api,gateway', 'relay', 'relay', 'projector'],
  expect: { begin: 'any' },
  async play(world) {
    for (const scenario of [zombieRelay, relayKilled, topicRemade, lostTail]) await scenario.play(world);
  },
};

async function faultsOf(scenario: Scenario): Promise<readonly string[]> {
  const seed = Date.now() % 1_000_000;
  const place = { postgresUrl: inject('postgresUrl'), brokers: kafkaBrokers };
  const outcome = await runScenario(scenario, place, { seed, scale: SCALE });
  console.log(lineOf(scenario.name, outcome));
  return outcome.faults;
}

describeKafka('with a real Kafka', () => {
  it('nothing is lost or repeated when relays die, freeze, and records vanish', TIMEOUT, async () => {
    expect(await faultsOf(relays)).toEqual([]);
  });

  it('a restored database stops the relay, and the doctor mends it', TIMEOUT, async () => {
    const roles = ['api,gateway', 'relay', 'projector'];
    expect(await faultsOf({ ...restoredDatabase, roles })).toEqual([]);
  });
});
