/** Every scenario, in the order in which `all` runs them. */
import type { Scenario } from '../world.js';
import { frozenClient, reconnectStorm } from './clients.js';
import { hostileFrames } from './hostile.js';
import { roughNetwork } from './network.js';
import { postgresRestarted, serverKilled } from './servers.js';
import { tokensRevoked } from './tokens.js';

export const SCENARIOS: readonly Scenario[] = [
  serverKilled,
  postgresRestarted,
  frozenClient,
  reconnectStorm,
  roughNetwork,
  tokensRevoked,
  hostileFrames,
];
