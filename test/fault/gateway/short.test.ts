/**
 * The most telling faults of the gateway, in short: its process is killed, its clients freeze, the network is rough, and hostile
 * clients are about. All of them, and more of each: `npm run fault -- gateway`.
 */
import { expect, inject, it } from 'vitest';
import { lineOf } from './line.js';
import { frozenClient } from './scenarios/clients.js';
import { hostileFrames } from './scenarios/hostile.js';
import { roughNetwork } from './scenarios/network.js';
import { serverKilled } from './scenarios/servers.js';
import { runScenario, type Scenario } from './world.js';

/** On a machine that has much else to do. */
const TIMEOUT = { timeout: 300_000 };
const SCALE = 0.1;

async function faultsOf(scenario: Scenario): Promise<readonly string[]> {
  const seed = Date.now() % 1_000_000;
  const outcome = await runScenario(scenario, { postgresUrl: inject('postgresUrl') }, { seed, scale: SCALE });
  console.log(lineOf(scenario.name, outcome));
  return outcome.faults;
}

it(
  'each subscriber has seen each change once when the server died, the network was rough and attackers were about',
  TIMEOUT,
  async () => {
    const together: Scenario = {
      ...roughNetwork,
      name: 'server-killed, rough-network, hostile-frames',
      async play(world) {
        await hostileFrames.play(world);
        await roughNetwork.play(world);
        await serverKilled.play(world);
      },
    };
    expect(await faultsOf(together)).toEqual([]);
  },
);

it('frozen clients cost the server no memory, and miss nothing', TIMEOUT, async () => {
  expect(await faultsOf(frozenClient)).toEqual([]);
});
