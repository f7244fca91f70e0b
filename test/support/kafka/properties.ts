/** Configuration of a node, broker and controller in one. */

export interface NodePlace {
  readonly id: number;
  readonly port: number;
  readonly controller: number;
  /** With its configuration, its data and its log. */
  readonly folder: string;
  readonly data: string;
}

/**
 * @param all the nodes of its cluster
 * @param more settings that go before ours
 */
export function properties(
  node: NodePlace,
  all: readonly NodePlace[],
  more: Readonly<Record<string, string>> = {},
): string {
  const voters = all.map(({ id, controller }) => `${id}@127.0.0.1:${controller}`).join(',');
  const replicas = all.length;
  const inSync = replicas > 1 ? 2 : 1;
  return `process.roles=broker,controller
node.id=${node.id}
controller.quorum.voters=${voters}
listeners=PLAINTEXT://127.0.0.1:${node.port},CONTROLLER://127.0.0.1:${node.controller}
advertised.listeners=PLAINTEXT://127.0.0.1:${node.port}
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs=${node.data}
default.replication.factor=${replicas}
min.insync.replicas=${inSync}
offsets.topic.replication.factor=${replicas}
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=${replicas}
transaction.state.log.min.isr=${inSync}
share.coordinator.state.topic.replication.factor=${replicas}
share.coordinator.state.topic.min.isr=${inSync}
group.initial.rebalance.delay.ms=0
log.cleaner.dedupe.buffer.size=2097152
log.initial.task.delay.ms=1000
log.retention.check.interval.ms=1000
auto.create.topics.enable=false
# A killed broker is held for alive this long, and not let in again before: 9 s by default.
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
${Object.entries(more)
  .map(([name, value]) => `${name}=${value}\n`)
  .join('')}`;
}
