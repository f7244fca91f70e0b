/**
 * One batch of a projection that a handler writes: one transaction that moves the checkpoints first, then lets the handler
 * write, then commits. Who loses the race finds the checkpoints moved and has written nothing; when a COMMIT gets no
 * answer, the checkpoints tell whether it happened.
 *
 * Locks, in the one order of all (platform/postgres/logs.ts): lease, checkpoints, then whatever rows the handler touches.
 */
import type { PoolClient } from 'pg';
import type { AnyTables, TablesEvent } from '../../domain/tables.js';
import { messageOf } from '../../platform/errors.js';
import type { Database } from '../../platform/postgres/database.js';
import { OneConnection } from '../../platform/postgres/kysely/connection.js';
import type { Lease } from '../../platform/postgres/leases.js';
import { isUnavailable, sqlState } from '../../platform/postgres/sqlstate.js';
import type { Progress } from '../write.js';
import { beginHandler, callBegin } from './statements.js';
import type { WriteTables } from './write-tables.js';

/** What the handler did failed, and is rolled back: fewer events, or another attempt, may do. */
export class HandlerFailed extends Error {
  override readonly name = 'HandlerFailed';
}

export interface HandlerBatch {
  readonly lease: Lease;
  readonly progress: readonly Progress[];
  readonly events: readonly TablesEvent[];
}

/** A server that keeps a statement's time says so a little later; after this it counts as lost. */
const ANSWER_GRACE_MS = 5_000;
/** Somebody held a lock for too long. */
const LOCK_TIMEOUT = '55P03';
/** The connection was cut since nothing was asked of it for too long. */
const IDLE_IN_TRANSACTION = '25P03';

class HandlerTransaction {
  readonly #db: Database;
  readonly #projection: AnyTables;
  readonly #client: PoolClient;
  /** The connection broke between two statements. */
  #broken: Error | undefined;
  /** It is ended rather than given back: something may still run on it. */
  #cut = false;
  readonly #onError = (error: Error): void => {
    this.#broken ??= error;
  };

  constructor(db: Database, projection: AnyTables, client: PoolClient) {
    this.#db = db;
    this.#projection = projection;
    this.#client = client;
    client.on('error', this.#onError);
  }

  /** @throws what `tables_begin_v2` raises */
  async begin({ lease, progress }: HandlerBatch): Promise<void> {
    const { name, version, timeoutMs } = this.#projection;
    await this.#client.query(beginHandler(timeoutMs));
    await this.#client.query({
      text: callBegin(this.#db),
      name: 'tables_begin_v2',
      values: [
        name,
        version,
        progress.map(({ source }) => source),
        progress.map(({ shard }) => shard),
        progress.map(({ from }) => from),
        progress.map(({ til }) => til),
        progress.map(({ seen }) => seen?.eventId ?? null),
        lease.scope,
        lease.holder,
        lease.term,
      ],
    });
  }

  /** @throws HandlerFailed; connection errors as they come */
  async run(tables: WriteTables, events: readonly TablesEvent[]): Promise<void> {
    const { name, timeoutMs } = this.#projection;
    const connection = new OneConnection({
      pool: this.#db.pool,
      client: async () => this.#client,
      owner: `the handler of ${name}`,
      answerTimeoutMs: timeoutMs + ANSWER_GRACE_MS,
    });
    let timer: NodeJS.Timeout | undefined;
    const deadline = new Promise<never>((_resolve, reject) => {
      timer = setTimeout(() => {
        this.#cut = true;
        reject(new Error(`it took more than ${timeoutMs} ms`));
      }, timeoutMs);
    });
    try {
      await Promise.race([this.#projection.handle({ db: connection.kysely(tables), events }), deadline]);
      // What it asked for and did not wait for is part of the batch too.
      await Promise.race([connection.idle(), deadline]);
      await connection.close();
      // A handler that caught it would lose the batch: Postgres answers COMMIT with a rollback then.
      if (connection.failure !== undefined) throw connection.failure;
    } catch (error) {
      const idle = connection.close();
      if (!this.#cut) await idle;
      this.#rethrow(error, connection.failure);
    } finally {
      clearTimeout(timer);
    }
  }

  /** @throws as Postgres does; its outcome is unknown when there was no answer */
  async commit(): Promise<void> {
    const { command } = await this.#client.query('COMMIT');
    if (command !== 'COMMIT') throw new HandlerFailed('its transaction was rolled back');
  }

  async rollback(failure: unknown): Promise<void> {
    // A connection that gave no answer gives none to a ROLLBACK either; its end rolls back.
    if (this.#cut || this.#broken || isUnavailable(failure)) this.#cut = true;
    else await this.#client.query('ROLLBACK').catch(() => (this.#cut = true));
  }

  release(): void {
    this.#client.off('error', this.#onError);
    this.#client.release(this.#cut || this.#broken !== undefined);
  }

  /** @param failure the first error of a statement, whatever the handler made of it */
  #rethrow(error: unknown, failure: unknown): never {
    const { name } = this.#projection;
    if (sqlState(this.#broken) === IDLE_IN_TRANSACTION) {
      const hint = 'it let its transaction idle for too long; a handler calls nothing but its database';
      throw new HandlerFailed(`the handler of ${name}: ${hint}`, { cause: error });
    }
    if (this.#broken) throw this.#broken;
    // Whoever holds a lock on its tables, or keeps Postgres away, says nothing of the events.
    if (isUnavailable(failure) || sqlState(failure) === LOCK_TIMEOUT) throw failure;
    throw new HandlerFailed(`the handler of ${name}: ${messageOf(error)}`, { cause: error });
  }
}

/**
 * Resolves when the batch is in; events may be none, so that only the checkpoints move.
 * @throws HandlerFailed; what `tables_begin_v2` raises, and connection errors, as they come
 */
export async function runHandler(
  db: Database,
  projection: AnyTables,
  tables: WriteTables,
  batch: HandlerBatch,
): Promise<void> {
  const transaction = new HandlerTransaction(db, projection, await db.pool.connect());
  try {
    await transaction.begin(batch);
    if (batch.events.length > 0) await transaction.run(tables, batch.events);
    await transaction.commit();
  } catch (error) {
    await transaction.rollback(error);
    throw error;
  } finally {
    transaction.release();
  }
}
