/** Records of other systems become commands: a part of the `relay` role, which speaks with Kafka for the application. */
import { createKafka } from '../../broker/kafka/client.js';
import { KafkaGraveyard } from '../../broker/kafka/inbound-graveyard.js';
import { KafkaRecordSource } from '../../broker/kafka/inbound-source.js';
import type { KafkaSettings } from '../../broker/kafka/settings.js';
import { Inbound } from '../../inbound/inbound.js';
import type { CommandPort } from '../../inbound/ports.js';
import { service } from '../../platform/lifecycle.js';
import type { Context, RoleLayer } from '../context.js';
import { inboundGauges, inboundMetrics } from '../metrics/inbound.js';

/** @param bus started before it and stopped after it */
export function createInbound(
  { app, logger, metrics }: Pick<Context, 'app' | 'logger' | 'metrics'>,
  kafka: KafkaSettings,
  bus: CommandPort,
): RoleLayer {
  const client = createKafka(kafka, logger);
  const graveyard = new KafkaGraveyard({ kafka: client, app: app.name, replication: kafka.replication });
  const inbound = new Inbound({
    app,
    source: new KafkaRecordSource({ kafka: client, logger }),
    graveyard,
    bus,
    logger,
    observer: inboundMetrics(metrics),
  });
  inboundGauges(metrics, () => inbound.standings);
  const life = service('inbound', {
    start: () => inbound.start(),
    async stop() {
      await inbound.stop();
      await graveyard.stop();
    },
  });
  return {
    ...life,
    name: 'relay',
    concerns: () =>
      inbound.standings.flatMap(({ consumer, troubles }) =>
        troubles.map((trouble) => `consumer ${consumer}: ${trouble}`),
      ),
  };
}
