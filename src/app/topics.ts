/**
 * The topics of the logs that a process follows: made before it follows them, or checked where they are there. Kafka may be
 * away: then the process starts all the same, and this goes on beside it.
 */
import { KafkaPublisher } from '../broker/kafka/publisher.js';
import type { KafkaSettings } from '../broker/kafka/settings.js';
import type { PublishedLog } from '../broker/ports.js';
import type { AnyApp } from '../domain/app.js';
import { isTidemarkError, messageOf } from '../platform/errors.js';
import { service } from '../platform/lifecycle.js';
import type { Logger } from '../platform/logger.js';
import { backoff, Bell, endedWithin } from '../platform/pause.js';
import type { Role } from './config.js';
import { publishedChanges } from './published-changes.js';
import type { Layer } from './stack.js';

export interface TopicsOptions {
  readonly app: AnyApp;
  readonly kafka: KafkaSettings;
  readonly roles: readonly Role[];
  readonly logger: Logger;
}

/** How long a start waits for Kafka before it goes on without. */
const PATIENCE_MS = 3_000;
const SHORTEST_PAUSE_MS = 250;
const LONGEST_PAUSE_MS = 10_000;

/** Logs that processes of these roles follow; those that the relay fills are its own business. */
function followedLogs(
  app: Pick<AnyApp, 'projections' | 'views'>,
  roles: readonly Role[],
): readonly PublishedLog[] {
  const sources = app.projections.flatMap(({ sources: all }) => all.map(({ aggregate }) => aggregate.name));
  const events = [...new Set(sources)].map((log) => ({ kind: 'events', log }) as const);
  const changes = app.views.map(publishedChanges);
  return [...(roles.includes('projector') ? events : []), ...(roles.includes('gateway') ? changes : [])];
}

/** @throws from `start`: TidemarkError `topic_mismatch` */
export class TopicsLayer implements Layer {
  readonly name = 'topics';
  readonly #options: TopicsOptions;
  readonly #logs: readonly PublishedLog[];
  readonly #life: Layer;
  readonly #bell = new Bell();
  #publisher: KafkaPublisher | undefined;
  #stopping = false;
  #trouble: string | undefined;
  #going: Promise<void> | undefined;

  constructor(options: TopicsOptions) {
    this.#options = options;
    this.#logs = followedLogs(options.app, options.roles);
    this.#life = service(this.name, { start: () => this.#start(), stop: () => this.#stop() });
  }

  /** Resolves when they are there, or soon without them. */
  start(): Promise<void> {
    return this.#life.start();
  }

  stop(): Promise<void> {
    return this.#life.stop();
  }

  /** What keeps topics from being there, in a line. */
  get concerns(): readonly string[] {
    return this.#trouble === undefined ? [] : [this.#trouble];
  }

  async #start(): Promise<void> {
    if (this.#logs.length === 0) return;
    const first = this.#ensure();
    try {
      if (await endedWithin(first, PATIENCE_MS)) return;
      this.#tell(`Kafka did not answer within ${PATIENCE_MS} ms`);
      this.#going = first.catch((error: unknown) => this.#goOn(error));
    } catch (error) {
      if (isTidemarkError(error, 'topic_mismatch')) throw error;
      this.#going = this.#goOn(error);
    }
  }

  async #stop(): Promise<void> {
    this.#stopping = true;
    this.#bell.ring();
    await this.#publisher?.stop();
    await this.#going;
  }

  async #ensure(): Promise<void> {
    const { app, kafka, logger } = this.#options;
    const publisher = new KafkaPublisher({ settings: kafka, app: app.name, logger });
    this.#publisher = publisher;
    try {
      await publisher.ensure(this.#logs, app.shards);
      this.#trouble = undefined;
    } finally {
      await publisher.stop();
    }
  }

  /** A start that is over has nobody left to tell but the log, and whoever asks for readiness. */
  async #goOn(error: unknown): Promise<void> {
    for (let attempt = 0, failure = error; !this.#stopping; attempt++) {
      this.#tell(messageOf(failure));
      await this.#bell.wait(backoff(attempt, SHORTEST_PAUSE_MS, LONGEST_PAUSE_MS));
      if (this.#stopping) return;
      try {
        await this.#ensure();
        this.#options.logger.info('the topics are there');
        return;
      } catch (again) {
        failure = again;
      }
    }
  }

  #tell(trouble: string): void {
    if (trouble === this.#trouble) return;
    this.#trouble = trouble;
    this.#options.logger.warn({ reason: trouble }, 'topics are not there; trying on');
  }
}
