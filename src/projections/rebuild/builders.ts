/**
 * The builders of one process: for each version that is to be built it stands for election, and builds while it is elected. One that has
 * stopped is tried once by every process that is started, as it may have newer code.
 */
import type { AnyProjection } from '../../domain/projection.js';
import { service, type Service } from '../../platform/lifecycle.js';
import type { Logger } from '../../platform/logger.js';
import { backoff, Bell } from '../../platform/pause.js';
import type { Lease, Leases, Participation } from '../../platform/postgres/leases.js';
import { changeLogOf } from '../names.js';
import type { Directives, VersionFacts } from '../types.js';
import { isLoadable } from './loadable.js';
import type { BuildOutcome } from './types.js';

/** What runs a build: a thread of its own, or this one in slices. */
export interface BuildRequest {
  readonly projection: AnyProjection;
  readonly lease: Lease;
  /** A build that has stopped is tried again. */
  readonly again: boolean;
  /** Resolves soon after it was aborted; what is loaded stays. */
  readonly signal: AbortSignal;
}

export interface BuildersOptions {
  readonly projections: readonly AnyProjection[];
  readonly leases: Pick<Leases, 'join'>;
  readonly directives: Directives;
  readonly run: (request: BuildRequest) => Promise<BuildOutcome>;
  /** Looks at the versions now; resolves when `directives` knows. */
  readonly look: () => Promise<void>;
  readonly logger: Logger;
}

/** A build tells in the log how far it is. */
const LOG_EVERY_MS = 10_000;
/** After how long a build is looked at again where nobody says that anything changed. */
const LOOK_AGAIN_MS = 2_000;
const RETRY_MIN_MS = 500;
const RETRY_MAX_MS = 30_000;

/** The builder of one version. */
class Builder {
  readonly #projection: AnyProjection;
  readonly #options: BuildersOptions;
  readonly #logger: Logger;
  /** Rung when something may have changed. */
  readonly #bell = new Bell();
  /** This process has tried it. */
  #tried = false;
  #election: Participation | undefined;
  #leaving: Promise<void> = Promise.resolve();
  #isLeaving = false;
  #abort: AbortController | undefined;
  #running: Promise<void> = Promise.resolve();
  #ended = false;

  constructor(projection: AnyProjection, options: BuildersOptions) {
    this.#projection = projection;
    this.#options = options;
    this.#logger = options.logger.child({ projection: projection.name, version: projection.version });
  }

  get #facts(): VersionFacts | undefined {
    const facts = this.#options.directives.facts(this.#projection.name);
    return facts?.version === this.#projection.version ? facts : undefined;
  }

  get #wanted(): boolean {
    const facts = this.#facts;
    if (this.#ended || facts === undefined || facts.loaded) return false;
    const stopped = facts.state === 'halted' || facts.state === 'needs_newer_code';
    return facts.state === 'building' || (stopped && !this.#tried);
  }

  /** Stands for election, or leaves it. */
  look(): void {
    this.#bell.ring();
    if (this.#wanted && !this.#election) {
      this.#election = this.#options.leases.join(`rebuild/${changeLogOf(this.#projection)}`, 1, {
        gained: (lease) => this.#gained(lease),
        lost: () => this.#lost(),
      });
    }
    if (!this.#wanted && this.#election) this.#leave();
  }

  async end(): Promise<void> {
    this.#ended = true;
    if (this.#election) this.#leave();
    await this.#leaving;
  }

  #leave(): void {
    const election = this.#election;
    if (!election || this.#isLeaving) return;
    this.#isLeaving = true;
    this.#leaving = election
      .leave()
      .catch((err: unknown) => this.#logger.warn({ err }, 'the election of a builder was not left'))
      .finally(() => {
        this.#election = undefined;
        this.#isLeaving = false;
        // What came up in the meantime.
        if (!this.#ended) this.look();
      });
  }

  #gained(lease: Lease): void {
    const abort = new AbortController();
    this.#abort = abort;
    this.#running = this.#work(lease, abort.signal).finally(() => {
      if (this.#abort === abort) this.#abort = undefined;
      // It stands again where there is something to build after all.
      this.#leave();
    });
  }

  async #lost(): Promise<void> {
    this.#abort?.abort();
    this.#bell.ring();
    await this.#running;
  }

  /** Until nothing is to be built any more, or another is elected. */
  async #work(lease: Lease, signal: AbortSignal): Promise<void> {
    for (let failures = 0; !signal.aborted && this.#wanted;) {
      try {
        await this.#once(lease, signal);
        failures = 0;
        await this.#options.look();
        if (!signal.aborted && this.#wanted) await this.#bell.wait(LOOK_AGAIN_MS);
      } catch (err) {
        if (signal.aborted) return;
        this.#logger.warn({ err }, 'a build was interrupted; it goes on soon');
        const until = performance.now() + backoff(failures++, RETRY_MIN_MS, RETRY_MAX_MS);
        while (!signal.aborted && performance.now() < until) await this.#bell.wait(until - performance.now());
      }
    }
  }

  async #once(lease: Lease, signal: AbortSignal): Promise<void> {
    const { run } = this.#options;
    const again = this.#facts?.state !== 'building';
    this.#tried = true;
    this.#logger.info({ term: lease.term }, again ? 'building again' : 'building');
    const timer = setInterval(() => this.#logProgress(), LOG_EVERY_MS);
    const outcome = await run({ projection: this.#projection, lease, again, signal }).finally(() =>
      clearInterval(timer),
    );
    if (outcome.kind === 'loaded') this.#logger.info({ events: outcome.events }, 'built');
    if (outcome.kind === 'stopped') this.#logger.error({ reason: outcome.reason }, 'the build has stopped');
  }

  #logProgress(): void {
    const { progress } = this.#facts ?? {};
    if (!progress) return;
    const { phase, events, total, perSecond } = progress;
    this.#logger.info({ phase, events, total, perSecond }, 'building');
  }
}

/** Stopping ends builds under way; another process, or the next start, goes on where they were. */
export class Builders implements Service {
  readonly name = 'builders';
  readonly #life: Service;

  constructor(options: BuildersOptions) {
    const builders = options.projections
      .filter(isLoadable)
      .map((projection) => new Builder(projection, options));
    let deaf: (() => void) | undefined;
    this.#life = service(this.name, {
      start: async () => {
        deaf = options.directives.onChange(() => {
          for (const builder of builders) builder.look();
        });
        for (const builder of builders) builder.look();
      },
      stop: async () => {
        deaf?.();
        await Promise.all(builders.map((builder) => builder.end()));
      },
    });
  }

  start(): Promise<void> {
    return this.#life.start();
  }

  /** Resolves when no build is under way. */
  stop(): Promise<void> {
    return this.#life.stop();
  }
}
