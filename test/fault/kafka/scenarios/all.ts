/** Every scenario, in the order in which `all` runs them. */
import type { Scenario } from '../world.js';
import { brokerKilled, kafkaAway, leaderKilled, restoredBroker } from './brokers.js';
import { failover, restoredDatabase } from './databases.js';
import { lostTail, relayKilled, zombieRelay } from './relay.js';
import { rebalanceStorm, retention, topicRemade } from './topics.js';

export const SCENARIOS: readonly Scenario[] = [
  relayKilled,
  zombieRelay,
  lostTail,
  topicRemade,
  retention,
  rebalanceStorm,
  restoredDatabase,
  failover,
  brokerKilled,
  kafkaAway,
  restoredBroker,
  leaderKilled,
];
