/**
 * The read-only kysely that a named query's handler gets: all its statements see one snapshot, in a transaction that
 * begins with the first statement and can write nothing.
 */
import {
  Kysely,
  PostgresAdapter,
  PostgresIntrospector,
  PostgresQueryCompiler,
  type CompiledQuery,
  type DatabaseConnection,
  type Driver,
  type KyselyPlugin,
  type QueryResult,
} from 'kysely';
import pg from 'pg';
import type { Database } from '../platform/postgres/database.js';
import { TidemarkError } from '../platform/errors.js';
import { beginRead, END_READ } from './statements.js';

/** Values as the JSON of an answer has them: bigint and numeric as numbers, json parsed. */
const PARSERS = new Map<number, (text: string) => unknown>([
  [20, Number],
  [1700, Number],
  [114, JSON.parse],
  [3802, JSON.parse],
]);

function typesOf(pool: pg.Pool): pg.CustomTypesConfig {
  const { types } = pool.options;
  return {
    getTypeParser: ((oid: number, format?: 'text' | 'binary') =>
      PARSERS.get(oid) ??
      types?.getTypeParser(oid, format ?? 'text') ??
      pg.types.getTypeParser(oid, format ?? 'text')) as typeof pg.types.getTypeParser, // it is overloaded by format
  };
}

/** One handler's transaction. */
class ReadTransaction implements DatabaseConnection {
  readonly #db: Database;
  readonly #timeoutMs: number;
  readonly #types: pg.CustomTypesConfig;
  #client: Promise<pg.PoolClient> | undefined;
  #last: Promise<unknown> = Promise.resolve();
  #closed = false;
  #broken: Error | undefined;
  readonly #onError = (error: Error): void => {
    this.#broken = error;
  };

  constructor(db: Database, timeoutMs: number) {
    this.#db = db;
    this.#timeoutMs = timeoutMs;
    this.#types = typesOf(db.pool);
  }

  /** Statements of a handler run one after the other, even where it sends them at once. */
  executeQuery<R>(query: CompiledQuery): Promise<QueryResult<R>> {
    const run = async (): Promise<QueryResult<R>> => {
      if (this.#closed) throw new Error('the query has ended; its database cannot be used any more');
      this.#client ??= this.#begin();
      const client = await this.#client;
      const statement = {
        text: query.sql,
        values: [...query.parameters],
        types: this.#types,
        // One statement a message: a raw fragment cannot end the transaction and go on without it.
        queryMode: 'extended',
      };
      const { rows } = await client.query<R & pg.QueryResultRow>(statement);
      return { rows };
    };
    const result = this.#last.then(run);
    this.#last = result.catch(() => undefined);
    return result;
  }

  // eslint-disable-next-line require-yield -- kysely's interface asks for an iterator
  async *streamQuery<R>(): AsyncIterableIterator<QueryResult<R>> {
    throw new Error('a query cannot stream');
  }

  async #begin(): Promise<pg.PoolClient> {
    const client = await this.#db.pool.connect();
    // A connection that breaks between two statements would end the process without a listener.
    client.on('error', this.#onError);
    try {
      await client.query(beginRead(this.#timeoutMs));
      return client;
    } catch (error) {
      client.removeListener('error', this.#onError);
      client.release(error instanceof Error ? error : true);
      throw error;
    }
  }

  /**
   * Gives the connection back, without making the caller wait for it.
   * @param cut true ends the connection with whatever still runs on it; else the transaction is closed in order
   */
  close(cut: boolean): void {
    this.#closed = true;
    void this.#client?.then(
      async (client) => {
        if (!cut && !this.#broken) {
          await this.#last;
          await client.query(END_READ).catch((error: Error) => (this.#broken = error));
        }
        client.removeListener('error', this.#onError);
        client.release(cut || this.#broken !== undefined);
      },
      () => undefined, // it never began; whoever asked was told
    );
  }
}

const refuse = async (): Promise<never> => {
  throw new Error('a query has its transaction already; it cannot begin another');
};

function driverOf(connection: DatabaseConnection): Driver {
  const nothing = async (): Promise<void> => undefined;
  return {
    init: nothing,
    acquireConnection: async () => connection,
    releaseConnection: nothing,
    destroy: nothing,
    beginTransaction: refuse,
    commitTransaction: refuse,
    rollbackTransaction: refuse,
  };
}

/**
 * Runs `work` with a read-only kysely, and ends its transaction whatever happens.
 * @param timeoutMs for each statement, and for all of it together
 * @throws TidemarkError `query_timeout`; errors of Postgres and of `work` as they come
 */
export async function withReadDatabase<T>(
  db: Database,
  plugin: KyselyPlugin,
  timeoutMs: number,
  work: (reader: unknown) => Promise<T>,
): Promise<T> {
  const transaction = new ReadTransaction(db, timeoutMs);
  const kysely = new Kysely<unknown>({
    dialect: {
      createDriver: () => driverOf(transaction),
      createAdapter: () => new PostgresAdapter(),
      createQueryCompiler: () => new PostgresQueryCompiler(),
      createIntrospector: (reader) => new PostgresIntrospector(reader),
    },
    plugins: [plugin],
  });
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
