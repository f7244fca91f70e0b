/** Hostile clients beside good ones: each harms itself only. */
import { eventually } from '../../stage/waiting.js';
import { attack } from '../attack.js';
import { mixOf } from '../mix.js';
import type { Scenario, World } from '../world.js';

/** At the same time. */
const ATTACKERS = 20;

/** A gauge of the gateway's process, summed over its labels. */
async function gauge({ cast }: World, name: string): Promise<number> {
  const text = await cast.the('gateway').metrics();
  const values = text.matchAll(new RegExp(`^tidemark_${name}(?:\\{[^}]*\\})? ([0-9.]+)`, 'gm'));
  return [...values].reduce((sum, [, value]) => sum + Number(value), 0);
}

export const hostileFrames: Scenario = {
  name: 'hostile-frames',
  title: 'clients send what no client should, in masses, beside good ones',
  maxGrowthMb: 120,
  watchers: ({ times, below }) => mixOf(times(100), below),
  async play(world) {
    const { cast, events, times, below, happened, fleets } = world;
    const actor = cast.the('gateway');
    const good = fleets.reduce((sum, { size }) => sum + size, 0);
    const count = times(600);
    let begun = 0;
    let failed = 0;
    const attacker = async (): Promise<void> => {
      for (; begun < count;) {
        begun++;
        // Of its own failures a server tells in its log, and with this reason.
        if ((await attack(actor.realtime, below)).includes('server_error')) failed++;
      }
    };
    await Promise.all([events(100), ...Array.from({ length: ATTACKERS }, attacker)]);
    happened(`${count} attacks`);
    if (failed > 0) throw new Error(`${failed} attacks made the server fail`);
    const failure = actor.lines.find((line) => line.includes('could not be handled'));
    if (failure !== undefined) throw new Error(failure);
    await eventually('nothing is left of the attackers', async () => {
      const [sockets, subscriptions] = [await gauge(world, 'sockets'), await gauge(world, 'subscriptions')];
      return sockets === good && subscriptions === good;
    });
  },
};
