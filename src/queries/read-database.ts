/**
 * The read-only kysely that a named query's handler gets: all its statements see one snapshot, in a transaction that
 * begins with the first statement and can write nothing.
 */
import type { KyselyPlugin } from 'kysely';
import type { PoolClient, QueryArrayResult } from 'pg';
import { TidemarkError } from '../platform/errors.js';
import type { Database } from '../platform/postgres/database.js';
import { OneConnection } from '../platform/postgres/kysely/connection.js';
import { beginRead, END_READ } from './statements.js';

/** What is asked as the transaction begins, before the handler gets anything. */
export interface Admission {
  /** Sent with the begin; its last statement selects. */
  readonly text: string;
  /** @throws what the handler's first statement is to fail with */
  admit(rows: readonly (readonly unknown[])[]): Promise<void>;
}

/** One handler's transaction. */
class ReadTransaction {
  readonly connection: OneConnection;
  readonly #db: Database;
  readonly #timeoutMs: number;
  readonly #admission: Admission | undefined;
  #client: Promise<PoolClient> | undefined;
  #broken: Error | undefined;
  readonly #onError = (error: Error): void => {
    this.#broken = error;
  };

  constructor(db: Database, timeoutMs: number, admission: Admission | undefined) {
    this.#db = db;
    this.#timeoutMs = timeoutMs;
    this.#admission = admission;
    const client = (): Promise<PoolClient> => (this.#client ??= this.#begin());
    this.connection = new OneConnection({ pool: db.pool, client, owner: 'the query' });
  }

  async #begin(): Promise<PoolClient> {
    const client = await this.#db.pool.connect();
    // A connection that breaks between two statements would end the process without a listener.
    client.on('error', this.#onError);
    try {
      await this.#open(client);
      return client;
    } catch (error) {
      client.removeListener('error', this.#onError);
      client.release(error instanceof Error ? error : true);
      throw error;
    }
  }

  async #open(client: PoolClient): Promise<void> {
    const begin = beginRead(this.#timeoutMs);
    const admission = this.#admission;
    if (!admission) {
      await client.query(begin);
      return;
    }
    const answer: unknown = await client.query({ text: `${begin}; ${admission.text}`, rowMode: 'array' });
    // Several statements at once give a result each, which the types of pg leave out.
    await admission.admit((answer as QueryArrayResult[]).at(-1)?.rows ?? []);
  }

  /**
   * Gives the connection back, without making the caller wait for it.
   * @param cut true ends the connection with whatever still runs on it; else the transaction is closed in order
   */
  close(cut: boolean): void {
    const idle = this.connection.close();
    void this.#client?.then(
      async (client) => {
        if (!cut && !this.#broken) {
          await idle;
          await client.query(END_READ).catch((error: Error) => (this.#broken = error));
        }
        client.removeListener('error', this.#onError);
        client.release(cut || this.#broken !== undefined);
      },
      () => undefined, // it never began; whoever asked was told
    );
  }
}

/**
 * Runs `work` with a read-only kysely, and ends its transaction whatever happens.
 * @param timeoutMs for each statement, and for all of it together
 * @throws TidemarkError `query_timeout`; what `admission` throws; errors of Postgres and of `work` as they come
 */
export async function withReadDatabase<T>(
  db: Database,
  plugin: KyselyPlugin,
  timeoutMs: number,
  work: (reader: unknown) => Promise<T>,
  admission?: Admission,
): Promise<T> {
  const transaction = new ReadTransaction(db, timeoutMs, admission);
  const kysely = transaction.connection.kysely(plugin);
  let timer: NodeJS.Timeout | undefined;
  let late = false;
  const deadline = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => {
      late = true;
      reject(
        new TidemarkError('query_timeout', `the query took more than ${timeoutMs} ms`, { retryAfter: 1 }),
      );
    }, timeoutMs);
  });
  try {
    return await Promise.race([work(kysely), deadline]);
  } finally {
    clearTimeout(timer);
    transaction.close(late);
  }
}
