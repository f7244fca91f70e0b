/** All consumers of an application: each reads its topic in a group of its own, for as long as the process runs. */
import type { RecordGraveyard, RecordReading, RecordSource } from '../broker/ports.js';
import type { AnyApp } from '../domain/app.js';
import { service, type Service } from '../platform/lifecycle.js';
import type { Logger } from '../platform/logger.js';
import { Handling } from './handling.js';
import type { CommandPort, InboundObserver } from './ports.js';

export interface InboundDeps {
  readonly app: Pick<AnyApp, 'name' | 'consumers'>;
  readonly source: RecordSource;
  readonly graveyard: RecordGraveyard;
  readonly bus: CommandPort;
  readonly logger: Logger;
  readonly observer?: InboundObserver;
}

export interface ConsumerStanding {
  readonly consumer: string;
  readonly topic: string;
  /** Records that it has not read yet, of the partitions that are this process’s. */
  readonly behind: number;
  /** What keeps it or one of its partitions from going on, in a line each. */
  readonly troubles: readonly string[];
}

interface Running {
  readonly consumer: string;
  readonly topic: string;
  readonly handling: Handling;
  readonly reading: RecordReading;
}

export class Inbound implements Service {
  readonly name = 'inbound';
  readonly #deps: InboundDeps;
  readonly #life: Service;
  #running: readonly Running[] = [];

  constructor(deps: InboundDeps) {
    this.#deps = deps;
    this.#life = service(this.name, {
      start: async () => {
        this.#running = deps.app.consumers.map((consumer) => this.#begin(consumer));
      },
      stop: async () => {
        await Promise.all(this.#running.map(({ reading }) => reading.stop()));
      },
    });
  }

  /** Resolves at once: a broker that is away keeps nothing from starting. */
  start(): Promise<void> {
    return this.#life.start();
  }

  /** Resolves when no command of a record runs any more. */
  stop(): Promise<void> {
    return this.#life.stop();
  }

  get standings(): readonly ConsumerStanding[] {
    return this.#running.map(({ consumer, topic, handling, reading }) => ({
      consumer,
      topic,
      behind: reading.behind,
      troubles: [...(reading.trouble === undefined ? [] : [reading.trouble]), ...handling.held],
    }));
  }

  #begin(consumer: AnyApp['consumers'][number]): Running {
    const { app, source, graveyard, bus, logger, observer = {} } = this.#deps;
    const handling = new Handling({ consumer, bus, graveyard, logger, observer });
    const reading = source.read({
      topic: consumer.topic,
      group: `${app.name}.inbound.${consumer.name}`,
      handle: (record, signal) => handling.handle(record, signal),
    });
    return { consumer: consumer.name, topic: consumer.topic, handling, reading };
  }
}
