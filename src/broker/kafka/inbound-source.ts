/** Reads topics of other systems through kafkajs: a `RecordSource`. */
import type { Kafka } from 'kafkajs';
import type { Logger } from '../../platform/logger.js';
import type { ReadRecordsRequest, RecordReading, RecordSource } from '../ports.js';
import { InboundReading } from './inbound-reading.js';

export class KafkaRecordSource implements RecordSource {
  readonly #kafka: Pick<Kafka, 'consumer'>;
  readonly #logger: Logger;

  constructor(deps: { readonly kafka: Pick<Kafka, 'consumer'>; readonly logger: Logger }) {
    this.#kafka = deps.kafka;
    this.#logger = deps.logger;
  }

  read(request: ReadRecordsRequest): RecordReading {
    return new InboundReading({ kafka: this.#kafka, logger: this.#logger, request });
  }
}
