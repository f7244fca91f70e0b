/** kysely over one connection, whose transaction belongs to somebody else: no second one, no other connection. */
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

/** Values as JSON has them: bigint and numeric as numbers, json parsed. */
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

/** The protocol counts them in 16 bits; one more would be answered as if the connection were at fault. */
const MAX_VALUES = 65_535;
const WRITES: readonly string[] = ['INSERT', 'UPDATE', 'DELETE'];

export interface OneConnectionOptions {
  readonly pool: pg.Pool;
  /** Asked at the first statement. */
  readonly client: () => Promise<pg.PoolClient>;
  /** Whose it is, for what it says after its end: `the query`. */
  readonly owner: string;
  /** Milliseconds after which a statement without any answer counts as lost; that of the pool unless told otherwise. */
  readonly answerTimeoutMs?: number;
}

/** The connection of one handler. Its statements run one after the other, even where it sends them at once. */
export class OneConnection implements DatabaseConnection {
  readonly #options: OneConnectionOptions;
  readonly #types: pg.CustomTypesConfig;
  #last: Promise<unknown> = Promise.resolve();
  #closed = false;
  #failure: unknown;

  constructor(options: OneConnectionOptions) {
    this.#options = options;
    this.#types = typesOf(options.pool);
  }

  /** The first error of a statement: what Postgres has refused, the transaction cannot commit. */
  get failure(): unknown {
    return this.#failure;
  }

  /** Resolves when all is over that was asked for, also what nobody waits for: kysely is a few turns behind its callers. */
  async idle(): Promise<void> {
    let last: Promise<unknown>;
    do {
      await new Promise(setImmediate);
      last = this.#last;
      await last;
    } while (last !== this.#last);
  }

  /** Takes no further statement; resolves when those that were sent are over. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#last;
  }

  executeQuery<R>(query: CompiledQuery): Promise<QueryResult<R>> {
    const run = async (): Promise<QueryResult<R>> => {
      const { client, owner, answerTimeoutMs } = this.#options;
      if (this.#closed) throw new Error(`${owner} has ended; its database cannot be used any more`);
      if (query.parameters.length > MAX_VALUES)
        throw new Error(`a statement with ${query.parameters.length} values; Postgres takes ${MAX_VALUES}`);
      const statement = {
        text: query.sql,
        values: [...query.parameters],
        types: this.#types,
        // One statement a message: a raw fragment cannot end the transaction and go on without it.
        queryMode: 'extended',
        ...(answerTimeoutMs !== undefined && { query_timeout: answerTimeoutMs }),
      };
      const { rows, rowCount, command } = await (await client()).query<R & pg.QueryResultRow>(statement);
      return WRITES.includes(command) ? { rows, numAffectedRows: BigInt(rowCount ?? 0) } : { rows };
    };
    const result = this.#last.then(run);
    this.#last = result.catch((error: unknown) => {
      this.#failure ??= error;
    });
    return result;
  }

  // eslint-disable-next-line require-yield -- kysely's interface asks for an iterator
  async *streamQuery<R>(): AsyncIterableIterator<QueryResult<R>> {
    throw new Error(`${this.#options.owner} cannot stream`);
  }

  /** kysely that runs on nothing else, without its own transactions. */
  kysely(plugin: KyselyPlugin): Kysely<unknown> {
    const { owner } = this.#options;
    const refuse = async (): Promise<never> => {
      throw new Error(`${owner} has its transaction already; it cannot begin another`);
    };
    const nothing = async (): Promise<void> => undefined;
    const driver: Driver = {
      init: nothing,
      acquireConnection: async () => this,
      releaseConnection: nothing,
      destroy: nothing,
      beginTransaction: refuse,
      commitTransaction: refuse,
      rollbackTransaction: refuse,
    };
    return new Kysely<unknown>({
      dialect: {
        createDriver: () => driver,
        createAdapter: () => new PostgresAdapter(),
        createQueryCompiler: () => new PostgresQueryCompiler(),
        createIntrospector: (reader) => new PostgresIntrospector(reader),
      },
      plugins: [plugin],
    });
  }
}
