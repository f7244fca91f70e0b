/**
 * What this process knows of its versions of the projections: one statement about once a second tells their states, stops,
 * parked keys and checkpoints. Workers ask whether they may work, readers whether they may read, health how it stands.
 */
import type { AnyReadModel } from '../../domain/tables.js';
import { TidemarkError } from '../../platform/errors.js';
import type { HeadProbe, Heads } from '../../platform/head-probe.js';
import { service, type Service } from '../../platform/lifecycle.js';
import type { Logger } from '../../platform/logger.js';
import type { Database } from '../../platform/postgres/database.js';
import { changeLogOf } from '../names.js';
import type { Directives, ServingGate, VersionFacts } from '../types.js';
import { lookAtVersions, type Sight } from './look.js';
import { Readiness } from './readiness.js';
import { updateReady } from './statements.js';

export interface ProjectionRegistryOptions {
  readonly db: Database;
  readonly projections: readonly AnyReadModel[];
  /** Each look at the heads is followed by one at the versions. */
  readonly probe: Pick<HeadProbe, 'onHeads' | 'probe'>;
  readonly logger: Logger;
}

/** What one look gave. */
export interface Look {
  /** Of `Clock.monotonic`, from before the heads were read. */
  readonly at: number;
  /** Heads of the event logs, read before the rest: `<log>/<shard>` → seq. */
  readonly heads: ReadonlyMap<string, number>;
  /** By the projection's name. */
  readonly sights: ReadonlyMap<string, Sight>;
}

/** The answer to a read that a gate refuses. @param why as the gate tells it */
export const projectionBuilding = (why: string): TidemarkError =>
  new TidemarkError('projection_building', why, { retryAfter: 1 });

export class ProjectionRegistry implements Directives, ServingGate, Service {
  readonly name = 'registry';
  readonly #options: ProjectionRegistryOptions;
  readonly #life: Service;
  readonly #readiness: ReadonlyMap<string, Readiness>;
  readonly #onChange = new Set<() => void>();
  readonly #onLook = new Set<(look: Look) => void>();
  #heads: Heads = { at: 0, heads: [] };
  #sights: ReadonlyMap<string, Sight> = new Map();
  #asking: Promise<void> = Promise.resolve();
  #next: Promise<void> | undefined;
  #end: (() => void) | undefined;
  #failing = false;

  constructor(options: ProjectionRegistryOptions) {
    this.#options = options;
    this.#readiness = new Map(options.projections.map((one) => [one.name, new Readiness(one)]));
    this.#life = service(this.name, {
      start: async () => {
        this.#end = options.probe.onHeads((heads) => {
          this.#heads = heads;
          void this.look().catch(() => undefined);
        });
        // Whoever comes after finds the first answers.
        for (let look = 0; look === 0 || (look === 1 && this.#wantsHeads); look++) {
          await options.probe.probe();
          await (this.#next ?? this.#asking);
        }
      },
      stop: async () => {
        this.#end?.();
        await this.#next?.catch(() => undefined);
        await this.#asking.catch(() => undefined);
      },
    });
  }

  /** Resolves after the first look. @throws as `Database.query` */
  start(): Promise<void> {
    return this.#life.start();
  }

  stop(): Promise<void> {
    return this.#life.stop();
  }

  facts(projection: string): VersionFacts | undefined {
    return this.#sights.get(projection)?.facts;
  }

  onChange(listener: () => void): () => void {
    this.#onChange.add(listener);
    return () => this.#onChange.delete(listener);
  }

  /** Called after each look; returns what ends it. */
  onLook(listener: (look: Look) => void): () => void {
    this.#onLook.add(listener);
    return () => this.#onLook.delete(listener);
  }

  refusal(projection: string): string | undefined {
    return this.#readiness.get(projection)?.why;
  }

  /** This process could serve it once: what happens to it since takes nobody else down. */
  wasServable(projection: string): boolean {
    return this.#readiness.get(projection)?.wasServable ?? false;
  }

  async confirm(projection: string, epoch: string): Promise<void> {
    const readiness = this.#readiness.get(projection);
    if (!readiness || readiness.epoch === epoch) return;
    await this.look();
    if (readiness.wantsHeads) {
      await this.#options.probe.probe();
      await this.look();
    }
    if (readiness.epoch !== epoch)
      throw projectionBuilding(readiness.why ?? `${projection} was built anew meanwhile`);
  }

  /**
   * Looks now; the look begins after the call, and those who ask in the meantime share the next one.
   * @throws as `Database.query`
   */
  look(): Promise<void> {
    this.#next ??= this.#asking
      .catch(() => undefined)
      .then(() => {
        this.#next = undefined;
        this.#asking = this.#ask();
        return this.#asking;
      });
    return this.#next;
  }

  async #ask(): Promise<void> {
    const { db, projections, logger } = this.#options;
    const { at, heads } = this.#heads;
    try {
      const sights = await lookAtVersions(db, projections, ({ name }) => this.refusal(name) !== undefined);
      if (this.#failing) logger.info('the states of the projections are read again');
      this.#failing = false;
      this.#take({
        at,
        heads: new Map(heads.map(({ log, shard, head }) => [`${log}/${shard}`, head])),
        sights,
      });
    } catch (err) {
      if (!this.#failing) logger.warn({ err }, 'the states of the projections cannot be read; trying on');
      this.#failing = true;
      throw err;
    }
  }

  #take(look: Look): void {
    const before = this.#essence();
    this.#sights = look.sights;
    for (const projection of this.#options.projections) {
      const readiness = this.#readiness.get(projection.name);
      const sight = look.sights.get(projection.name);
      readiness?.judge(sight, look.heads, performance.now(), look.at);
      if (sight && readiness?.epoch !== undefined && !sight.facts.ready) this.#keepReady(projection, sight);
    }
    if (this.#wantsHeads) void this.#options.probe.probe().catch(() => undefined);
    for (const listener of this.#onLook) listener(look);
    if (this.#essence() !== before) for (const listener of this.#onChange) listener();
  }

  get #wantsHeads(): boolean {
    return [...this.#readiness.values()].some(({ wantsHeads }) => wantsHeads);
  }

  /** What matters to others when it changes: not how far a build is, which changes at each look. */
  #essence(): string {
    return JSON.stringify(
      [...this.#sights].map(([name, { facts, epoch }]) => [
        { ...facts, progress: undefined },
        epoch,
        this.refusal(name) === undefined,
      ]),
    );
  }

  /** Later processes need not wait for the version's first time again. Tried at each look until it is so. */
  #keepReady(projection: AnyReadModel, { epoch }: Sight): void {
    const { db, logger } = this.#options;
    const { name, version } = projection;
    db.query(updateReady(db), [name, version, changeLogOf(projection), epoch]).then(
      (rows) => {
        if (rows.length > 0) logger.info({ projection: name, version }, 'the version is ready');
      },
      (err: unknown) => logger.debug({ err, projection: name }, 'that the version is ready was not kept yet'),
    );
  }
}
