/**
 * Tells the others which versions this process serves, so that nobody drops a table that someone reads. A process is alive
 * while its leases are renewed; its rows stay after its end, so that it is known when a version was last in use.
 */
import type { AnyReadModel } from '../../domain/tables.js';
import { service, type Service } from '../../platform/lifecycle.js';
import type { Logger } from '../../platform/logger.js';
import { jittered } from '../../platform/pause.js';
import type { Database } from '../../platform/postgres/database.js';
import type { Leases } from '../../platform/postgres/leases.js';
import * as sql from './presence-statements.js';

export interface PresenceOptions {
  readonly db: Database;
  /** Their member is this process; started and stopped here. */
  readonly leases: Pick<Leases, 'member' | 'start' | 'stop'>;
  readonly projections: readonly AnyReadModel[];
  readonly roles: readonly string[];
  readonly logger: Logger;
  /** Makes the tables again of a version that was pruned since this process made sure of them. */
  readonly ensureTables: () => Promise<void>;
  /** How often it tells that it is still there; milliseconds, jittered below that; 60,000 unless told otherwise. */
  readonly touchMs?: number;
}

/** Between two times that rows of processes long gone are removed. */
const CLEAN_EVERY_MS = 3_600_000;
/** A version that is pruned again and again while we start is somebody's mistake. */
const ATTEMPTS = 3;

export class Presence implements Service {
  readonly name = 'presence';
  readonly #options: PresenceOptions;
  readonly #life: Service;
  #timer: NodeJS.Timeout | undefined;
  #touching: Promise<void> = Promise.resolve();
  #cleanedAt = Number.NEGATIVE_INFINITY;

  constructor(options: PresenceOptions) {
    this.#options = options;
    this.#life = service(this.name, { start: () => this.#begin(), stop: () => this.#leave() });
  }

  /** Resolves when the others know. @throws as `Database.transaction`; Error when a version is pruned as often as it is made */
  start(): Promise<void> {
    return this.#life.start();
  }

  /** Gives back all leases; nothing may run under one any more. */
  stop(): Promise<void> {
    return this.#life.stop();
  }

  async #begin(): Promise<void> {
    const { leases, ensureTables } = this.#options;
    await leases.start();
    for (let attempt = 1; ; attempt++) {
      const pruned = await this.#register();
      if (pruned.length === 0) break;
      if (attempt === ATTEMPTS) throw new Error(`${pruned.join(', ')} is pruned while this process starts`);
      await ensureTables();
    }
    this.#touchLater();
  }

  /** Under the lock that pruning takes: either it sees us, or we see what it did. @returns versions that are gone */
  #register(): Promise<string[]> {
    const { db } = this.#options;
    return db.transaction(
      async (tx) => {
        await tx.query(sql.LOCK_READ_MODELS_SHARED, [db.schema]);
        await tx.query(sql.upsertServing(db), this.#values());
        const rows = await tx.query<[string, number]>(sql.selectRetired(db), this.#versions());
        return rows.map(([name, version]) => `${name} v${version}`);
      },
      { unbounded: true },
    );
  }

  #versions(): [names: string[], versions: number[]] {
    const { projections } = this.#options;
    return [projections.map(({ name }) => name), projections.map(({ version }) => version)];
  }

  #values(): unknown[] {
    return [this.#options.leases.member, ...this.#versions(), this.#options.roles];
  }

  #touchLater(): void {
    this.#timer = setTimeout(
      () => {
        this.#touching = this.#touch().catch((err: unknown) =>
          this.#options.logger.debug({ err }, 'could not tell what this process serves'),
        );
        void this.#touching.then(() => this.#timer && this.#touchLater());
      },
      jittered(this.#options.touchMs ?? 60_000),
    );
    this.#timer.unref();
  }

  async #touch(): Promise<void> {
    const { db } = this.#options;
    await db.query(sql.upsertServing(db), this.#values());
    if (performance.now() - this.#cleanedAt < CLEAN_EVERY_MS) return;
    this.#cleanedAt = performance.now();
    await db.query(sql.deleteLongGone(db));
  }

  async #leave(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    await this.#touching;
    const { db, leases, roles, logger } = this.#options;
    try {
      if (roles.includes('projector')) await this.#warnOfTheAbandoned();
      await db.query(sql.upsertServing(db), this.#values());
    } catch (err) {
      logger.debug({ err }, 'could not tell that this process stops');
    }
    await leases.stop();
  }

  /** Others go on to serve a version that nobody projects any more: its rows stand still from now on. */
  async #warnOfTheAbandoned(): Promise<void> {
    const { db, leases, logger } = this.#options;
    const rows = await db.query<[string, number, number]>(sql.selectAbandoned(db), [
      leases.member,
      ...this.#versions(),
    ]);
    for (const [projection, version, processes] of rows) {
      logger.warn(
        { projection, version, processes },
        `${processes} ${processes === 1 ? 'process serves' : 'processes serve'} ${projection} v${version}, and no projector of it is left: its rows stand still`,
      );
    }
  }
}
