/**
 * The one place that speaks to `pg`. Rows come as arrays in column order; int8 as number, timestamptz as ISO 8601 UTC
 * with milliseconds, json and jsonb as their text (it goes to Kafka and sockets as it is; whoever needs it parses it).
 * A pool per role, so that one role cannot starve another; never a second connection inside a transaction.
 */
import pg from 'pg';
import type { Logger } from '../logger.js';
import { isRetryable, isUnavailable } from './sqlstate.js';

/** Runs statements: a database (any connection of its pool) or one transaction. */
export interface Queryable {
  /**
   * @param text SQL; values only as parameters, names only from definitions
   * @param name makes it a prepared statement of that name; leave it out where the best plan changes with the data
   *   (a statement that was first planned on an empty table keeps that plan)
   * @returns rows as arrays in column order
   * @throws pg.DatabaseError and connection errors as they come; see sqlstate.ts for what they mean
   */
  query<R extends readonly unknown[]>(text: string, values?: readonly unknown[], name?: string): Promise<R[]>;
}

/** One connection, for whoever must know which backend ran a statement. */
export interface Session extends Queryable {
  /** Process id of the backend, as the server told it at connect. */
  readonly pid: number | undefined;
  /** Gives the connection back to the pool; `broken` ends it instead. May be called twice. */
  release(broken?: boolean): void;
}

export interface DatabaseOptions {
  readonly connectionString: string;
  /** Schema of Tidemark's tables; checked to be a plain identifier. */
  readonly schema: string;
  /** Shown in pg_stat_activity as `tidemark:<role>`. */
  readonly role: string;
  readonly logger: Logger;
  /** Connections at the most. */
  readonly max?: number;
  /** 0: none, neither there nor here; for bulk loads. */
  readonly statementTimeoutMs?: number;
  readonly lockTimeoutMs?: number;
  /** A process that froze inside a transaction frees its locks after this. */
  readonly idleInTransactionTimeoutMs?: number;
  readonly connectTimeoutMs?: number;
  /** `parsed` for kysely and whoever wants values; `text` is the default. */
  readonly json?: 'text' | 'parsed';
}

/** What a statement that was cut off by its timeout has, to say so, before its connection counts as lost. */
const ANSWER_GRACE_MS = 5_000;
/** The longest that a timer takes. */
const FOR_EVER_MS = 2 ** 31 - 1;

export interface TransactionOptions {
  readonly isolation?: 'read committed' | 'repeatable read';
  readonly readOnly?: boolean;
  /** Its statements may take as long as they like, and wait for locks as long: for changes of the schema. */
  readonly unbounded?: boolean;
  /** How often a transaction that ended with 40001 or 40P01 is begun again; 5 by default. */
  readonly retries?: number;
}

/** Entries of one group commit have one time, and come one after the other. */
let known: { readonly text: string; readonly iso: string } = { text: '', iso: '' };

/** `2026-11-22 02:24:57.1+00` (session time zone UTC) → `2026-11-22T02:24:57.100Z`. */
export function isoFromPostgres(text: string): string {
  if (text === known.text) return known.iso;
  const usual =
    text.length >= 22 && text[10] === ' ' && (text[19] === '.' || text[19] === '+') && text.endsWith('+00');
  const iso = usual
    ? `${text.slice(0, 10)}T${text.slice(11, 19)}.${text.slice(20, -3).slice(0, 3).padEnd(3, '0')}Z`
    : new Date(text).toISOString();
  known = { text, iso };
  return iso;
}

const asText = (text: string): string => text;
const PARSERS = new Map<number, (text: string) => unknown>([
  [20, Number],
  [1184, isoFromPostgres],
]);

function typesFor(json: 'text' | 'parsed'): pg.CustomTypesConfig {
  const parsers = new Map(PARSERS);
  if (json === 'text') for (const oid of [114, 3802]) parsers.set(oid, asText);
  return {
    getTypeParser: ((oid: number, format?: 'text' | 'binary') =>
      (format === 'binary' ? undefined : parsers.get(oid)) ??
      pg.types.getTypeParser(oid, format ?? 'text')) as typeof pg.types.getTypeParser,
  };
}

/** Quotes an identifier; names come from definitions, never from a request. */
export const quoteIdent = (name: string): string => `"${name.replaceAll('"', '""')}"`;

const SCHEMA_NAME = /^[a-z_][a-z0-9_]{0,62}$/;

export class Database implements Queryable {
  readonly schema: string;
  /** The raw pool, for kysely's dialect only. */
  readonly pool: pg.Pool;

  constructor(options: DatabaseOptions) {
    if (!SCHEMA_NAME.test(options.schema))
      throw new RangeError(`not a schema name: ${JSON.stringify(options.schema)}`);
    this.schema = options.schema;
    const { statementTimeoutMs = 30_000 } = options;
    this.pool = new pg.Pool({
      connectionString: options.connectionString,
      application_name: `tidemark:${options.role}`,
      max: options.max ?? 4,
      connectionTimeoutMillis: options.connectTimeoutMs ?? 10_000,
      idleTimeoutMillis: 30_000,
      // Without the delay, the kernel looks after two hours for the first time whether the server is still there.
      keepAlive: true,
      keepAliveInitialDelayMillis: 5_000,
      // The server keeps the time of a statement; when it stands still, or packets vanish, only we can.
      query_timeout: statementTimeoutMs === 0 ? 0 : statementTimeoutMs + ANSWER_GRACE_MS,
      statement_timeout: statementTimeoutMs,
      lock_timeout: options.lockTimeoutMs ?? 10_000,
      idle_in_transaction_session_timeout: options.idleInTransactionTimeoutMs ?? 5_000,
      options:
        '-c timezone=UTC -c datestyle=ISO -c tcp_keepalives_idle=5 -c tcp_keepalives_interval=2 -c tcp_keepalives_count=3 -c client_connection_check_interval=1000',
      types: typesFor(options.json ?? 'text'),
    });
    // An idle connection that breaks is replaced at the next use; without a listener it would end the process.
    // One that breaks while it is being closed is no news: an embedded Postgres stops right after its last client.
    this.pool.on('error', (error) => {
      if (!this.pool.ending) options.logger.warn({ err: error, role: options.role }, 'idle connection lost');
    });
    // A server that goes while it lets us in says so in the packet that lets us in: before whoever waits for the connection
    // can listen to it, and an error that nobody hears would end the process. What is asked of it fails all the same.
    this.pool.on('connect', (client) => client.on('error', () => undefined));
  }

  /** `"schema"."name"`. */
  table(name: string): string {
    return `${quoteIdent(this.schema)}.${quoteIdent(name)}`;
  }

  async query<R extends readonly unknown[]>(
    text: string,
    values: readonly unknown[] = [],
    name?: string,
  ): Promise<R[]> {
    const result = await this.pool.query<R>(statement(text, values, name));
    return result.rows;
  }

  /**
   * Takes a connection of the pool until its `release`.
   * @param options.unbounded its statements may take as long as they like, and wait for locks as long; release it as broken
   * @throws connection errors: nothing was sent then
   */
  async connect(options: Pick<TransactionOptions, 'unbounded'> = {}): Promise<Session> {
    const client = await this.pool.connect();
    // Without a listener, a connection that breaks between two statements would end the process.
    const ignore = (): void => undefined;
    client.on('error', ignore);
    let released = false;
    const patience = options.unbounded ? { query_timeout: FOR_EVER_MS } : {};
    if (options.unbounded) {
      await client.query('SET lock_timeout = 0; SET statement_timeout = 0').catch((error: unknown) => {
        client.release(true);
        throw error;
      });
    }
    return {
      pid: backendOf(client),
      query: async <R extends readonly unknown[]>(
        text: string,
        values: readonly unknown[] = [],
        name?: string,
      ) => (await client.query<R>({ ...statement(text, values, name), ...patience })).rows,
      release(broken = false) {
        if (released) return;
        released = true;
        client.off('error', ignore);
        client.release(broken);
      },
    };
  }

  /**
   * Runs `work` in one transaction and commits it; anything thrown rolls back. Begun again on a serialization failure
   * or deadlock, so `work` must be safe to run again. READ COMMITTED unless told otherwise.
   */
  async transaction<T>(work: (tx: Queryable) => Promise<T>, options: TransactionOptions = {}): Promise<T> {
    const retries = options.retries ?? 5;
    for (let attempt = 0; ; attempt++) {
      try {
        return await this.#once(work, options);
      } catch (error) {
        if (attempt >= retries || !isRetryable(error)) throw error;
        await new Promise((resolve) => setTimeout(resolve, Math.random() * 10 * 2 ** attempt));
      }
    }
  }

  async #once<T>(work: (tx: Queryable) => Promise<T>, options: TransactionOptions): Promise<T> {
    const client = await this.pool.connect();
    // Without a listener, a connection that breaks between two statements would end the process.
    const ignore = (): void => undefined;
    client.on('error', ignore);
    let broken = false;
    try {
      const isolation = (options.isolation ?? 'read committed').toUpperCase();
      await client.query(`BEGIN ISOLATION LEVEL ${isolation}${options.readOnly ? ' READ ONLY' : ''}`);
      if (options.unbounded)
        await client.query('SET LOCAL lock_timeout = 0; SET LOCAL statement_timeout = 0');
      const patience = options.unbounded ? { query_timeout: FOR_EVER_MS } : {};
      const tx: Queryable = {
        query: async <R extends readonly unknown[]>(
          text: string,
          values: readonly unknown[] = [],
          name?: string,
        ) => (await client.query<R>({ ...statement(text, values, name), ...patience })).rows,
      };
      const value = await work(tx);
      await client.query({ text: 'COMMIT', ...patience });
      return value;
    } catch (error) {
      // A connection that gave no answer gives none to a ROLLBACK either; its end rolls back.
      if (isUnavailable(error)) broken = true;
      else await client.query('ROLLBACK').catch(() => (broken = true));
      throw error;
    } finally {
      client.off('error', ignore);
      client.release(broken);
    }
  }

  /** Calls `listener` whenever a connection of the pool is gone, whoever ended it. */
  onLost(listener: () => void): void {
    this.pool.on('remove', listener);
  }

  /** Ends all connections once what runs on them is done. May be called twice. */
  async end(): Promise<void> {
    if (!this.pool.ended) await this.pool.end();
  }
}

/** `pg` keeps the backend's process id on the client, but its types do not say so. */
function backendOf(client: object): number | undefined {
  return 'processID' in client && typeof client.processID === 'number' ? client.processID : undefined;
}

function statement(text: string, values: readonly unknown[], name: string | undefined): pg.QueryArrayConfig {
  return { text, values: [...values], rowMode: 'array', ...(name === undefined ? {} : { name }) };
}
