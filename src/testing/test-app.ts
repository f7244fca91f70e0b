/** A whole application on a real Postgres for tests: every role in this process, ports taken freely, nothing left behind. */
import { randomBytes } from 'node:crypto';
import type { z } from 'zod';
import { loadConfig } from '../app/config.js';
import { startTemporaryPostgres } from '../app/embedded/temporary.js';
import type { Inside } from '../app/inside.js';
import { createRuntime, type Runtime } from '../app/runtime.js';
import type { Aggregate, AnyAggregate, CommandSchemas, EventSources } from '../domain/aggregate.js';
import type { AnyApp } from '../domain/app.js';
import type { Tags } from '../domain/events.js';
import type { Projection } from '../domain/projection.js';
import type { Query } from '../domain/query.js';
import { isTidemarkError } from '../platform/errors.js';
import { silentLogger, type Logger } from '../platform/logger.js';
import { Database } from '../platform/postgres/database.js';
import { dropSchema } from '../platform/postgres/schema.js';
import type { ScalarValue } from '../protocol/frames.js';
import { isProblemCode, problemOf } from '../protocol/problems.js';
import { acting, type Acting, type Actor } from './acting.js';
import type { GivenEvent } from './given.js';
import { callHttp, ProblemError } from './http-client.js';
import { appendOf } from './happened.js';
import { initialStand, type Happening } from './rehearsal.js';
import { subscribeTo, type SubscribeTo, type Subscription } from './subscription.js';

export interface TestAppOptions {
  /** A Postgres to use, in a schema of its own that `close` drops; absent: a temporary server is started (about a second). */
  readonly databaseUrl?: string;
  /** Silent unless told otherwise. */
  readonly logger?: Logger;
}

export interface ExecuteOptions {
  readonly idempotencyKey?: string;
  /** The version that the stream must be at; 0: it must have no event yet. */
  readonly expectedVersion?: number;
}

/** The answer to a command. */
export interface Executed {
  readonly streamId: string;
  readonly version: number;
  readonly events: readonly { readonly type: string; readonly version: number; readonly eventId: string }[];
  readonly token: string;
}

export interface RowsOptions {
  /** Fields by comma, `-` before one that falls. */
  readonly sort?: string;
  /** 1–1,000; 50 unless told otherwise. */
  readonly limit?: number;
}

/** All reads wait until the projections have what was executed here before. */
export interface TestApp {
  readonly urls: Runtime['urls'];
  /**
   * The same application, called as somebody; who calls without is the application’s `anonymous`, or refused.
   * @throws Error where rights are off
   */
  as(actor: Actor): TestApp;
  /** @throws ProblemError; `code` is the domain’s when the command was rejected */
  execute<C extends CommandSchemas, K extends keyof C & string>(
    aggregate: Aggregate<string, unknown, EventSources, C, Tags>,
    streamId: string,
    command: K,
    payload: z.input<C[K]>,
    options?: ExecuteOptions,
  ): Promise<Executed>;
  /**
   * Appends events to a stream as if they had happened, past its commands; their tags are taken from the aggregate. For
   * tests of what follows from events, such as the handler of `tables(…)`.
   * @throws AssertionError when an event or the state after it breaks its schema; TidemarkError `stream_conflict`
   */
  append<S, E extends EventSources, C extends CommandSchemas, T extends Tags>(
    aggregate: Aggregate<string, S, E, C, T>,
    streamId: string,
    events: readonly GivenEvent<E>[],
  ): Promise<void>;
  /** State and version of a stream; null where it has no event. */
  stream<S>(
    aggregate: Aggregate<string, S, EventSources, CommandSchemas, Tags>,
    streamId: string,
  ): Promise<{ readonly version: number; readonly state: S } | null>;
  /** The row of a key, or null. */
  row<S extends z.ZodObject>(view: Projection<string, S>, key: string): Promise<z.output<S> | null>;
  /** Rows by equality on indexed or channel fields. @throws ProblemError */
  rows<S extends z.ZodObject>(
    view: Projection<string, S>,
    filter?: Readonly<Record<string, ScalarValue>>,
    options?: RowsOptions,
  ): Promise<readonly z.output<S>[]>;
  /** Runs a named query; its answer is checked by its output schema. @throws ProblemError */
  query<I extends z.ZodType, O extends z.ZodType>(
    query: Query<string, I, O>,
    input: z.input<I>,
  ): Promise<z.output<O>>;
  /** Resolves when every projection has what was executed here. @throws ProblemError, `projection_halted` among them */
  caughtUp(): Promise<void>;
  /** A live view: all of it, one key, or equality on a declared tuple of channel fields. */
  subscribe<S extends z.ZodObject>(
    view: Projection<string, S>,
    to?: SubscribeTo,
  ): Promise<Subscription<z.output<S>>>;
  /** Ends what is open and removes what was made. May be called twice. */
  close(): Promise<void>;
}

const WAIT_MS = 30_000;

/** What all who act in one application share. */
interface Stage {
  readonly runtime: Runtime;
  readonly tokenFor: Acting['tokenFor'];
  readonly cleanUp: () => Promise<void>;
  readonly subscriptions: Subscription<unknown>[];
  /** Of commands that the projections were not waited for yet. */
  tokens: string[];
  closing: Promise<void> | undefined;
}

class RunningTestApp implements TestApp {
  readonly #stage: Stage;
  /** Shown with every call. */
  readonly #token: string | undefined;

  constructor(stage: Stage, token: string | undefined) {
    this.#stage = stage;
    this.#token = token;
  }

  get urls(): Runtime['urls'] {
    return this.#stage.runtime.urls;
  }

  get #inside(): Inside {
    const { inside } = this.#stage.runtime;
    if (!inside) throw new Error('the application is not started');
    return inside;
  }

  as(actor: Actor): TestApp {
    return new RunningTestApp(this.#stage, this.#stage.tokenFor(actor));
  }

  async execute(
    aggregate: { readonly name: string },
    streamId: string,
    command: string,
    payload: unknown,
    options: ExecuteOptions = {},
  ): Promise<Executed> {
    const { idempotencyKey, expectedVersion } = options;
    const headers = {
      ...(idempotencyKey === undefined ? {} : { 'idempotency-key': idempotencyKey }),
      ...(expectedVersion === undefined ? {} : precondition(expectedVersion)),
    };
    const path = ['commands', aggregate.name, streamId, command];
    const executed = (await this.#call(path, { body: payload, headers })) as Executed;
    this.#stage.tokens.push(executed.token);
    return executed;
  }

  async append(aggregate: AnyAggregate, streamId: string, events: readonly Happening[]): Promise<void> {
    const before = (await this.#inside.stream(aggregate, streamId)) ?? initialStand(aggregate);
    this.#stage.tokens.push(await this.#inside.append(appendOf(aggregate, streamId, before, events)));
  }

  async stream<S>(
    aggregate: { readonly name: string },
    streamId: string,
  ): Promise<{ version: number; state: S } | null> {
    const path = ['streams', aggregate.name, streamId, 'state'];
    return orNull('stream_not_found', this.#call(path)) as Promise<{ version: number; state: S } | null>;
  }

  async row<R>(view: { readonly name: string }, key: string): Promise<R | null> {
    await this.caughtUp();
    return orNull('row_not_found', this.#call(['views', view.name, key])) as Promise<R | null>;
  }

  async rows<R>(
    view: { readonly name: string },
    filter: Readonly<Record<string, ScalarValue>> = {},
    options: RowsOptions = {},
  ): Promise<readonly R[]> {
    await this.caughtUp();
    const query = Object.entries({ ...filter, ...options }).map(
      ([name, value]) => [name, String(value)] as const,
    );
    const page = (await this.#call(['views', view.name], { query })) as { readonly items: readonly R[] };
    return page.items;
  }

  async query<T>(query: { readonly name: string }, input: unknown): Promise<T> {
    await this.caughtUp();
    return (await this.#call(['queries', query.name], { body: input })) as T;
  }

  async caughtUp(): Promise<void> {
    const { tokens } = this.#stage;
    this.#stage.tokens = [];
    if (tokens.length === 0) return;
    try {
      // From within: there are tables without a view, and views that whoever acts may not see.
      await this.#inside.caughtUp(tokens, WAIT_MS);
    } catch (error) {
      if (!isTidemarkError(error) || !isProblemCode(error.code)) throw error;
      throw new ProblemError('caughtUp()', problemOf(error.code, error.message));
    }
  }

  async subscribe<R>(view: { readonly name: string }, to: SubscribeTo = {}): Promise<Subscription<R>> {
    const { realtime } = this.urls;
    if (realtime === undefined) throw new Error('the application runs without its realtime socket');
    const subscription = await subscribeTo<R>(realtime, view.name, to, this.#token);
    this.#stage.subscriptions.push(subscription as Subscription<unknown>);
    return subscription;
  }

  close(): Promise<void> {
    const stage = this.#stage;
    stage.closing ??= (async () => {
      await Promise.all(stage.subscriptions.map((subscription) => subscription.close()));
      await stage.runtime.stop();
      await stage.cleanUp();
    })();
    return stage.closing;
  }

  #call(path: readonly string[], call: Parameters<typeof callHttp>[2] = {}): Promise<unknown> {
    const shown = this.#token === undefined ? {} : { authorization: `Bearer ${this.#token}` };
    return callHttp(this.urls.http, path, { ...call, headers: { ...call.headers, ...shown } });
  }
}

const precondition = (version: number): Record<string, string> =>
  version === 0 ? { 'if-none-match': '*' } : { 'if-match': `"s${version}"` };

async function orNull(code: string, answer: Promise<unknown>): Promise<unknown> {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof ProblemError && error.code === code) return null;
    throw error;
  }
}

/** Where the test application keeps its data, and how that goes away again. */
async function placeOf(options: TestAppOptions): Promise<{
  readonly url: string;
  readonly schema: string;
  readonly cleanUp: () => Promise<void>;
}> {
  const { databaseUrl: url, logger = silentLogger } = options;
  if (url === undefined) {
    const server = await startTemporaryPostgres();
    return { url: server.url, schema: 'tidemark', cleanUp: () => server.stop() };
  }
  const schema = `test_${randomBytes(8).toString('hex')}`;
  const cleanUp = async (): Promise<void> => {
    const database = new Database({ connectionString: url, schema, role: 'test', logger, max: 1 });
    try {
      await dropSchema(database);
    } finally {
      await database.end();
    }
  };
  return { url, schema, cleanUp };
}

/**
 * Starts `app` with every role in this process, over HTTP and the realtime socket on free ports of 127.0.0.1. Close it
 * when the test ends.
 * @throws TidemarkError when the database does not answer or the definition does not fit it
 */
export async function testApp(app: AnyApp, options: TestAppOptions = {}): Promise<TestApp> {
  const { url, schema, cleanUp } = await placeOf(options);
  const config = loadConfig({ DATABASE_URL: url, TIDEMARK_SCHEMA: schema, PORT: '0', REALTIME_PORT: '0' });
  const { app: taking, tokenFor } = acting(app);
  const runtime = createRuntime(taking, config, {
    logger: options.logger ?? silentLogger,
    checkQueryOutput: true,
  });
  try {
    await runtime.start();
  } catch (error) {
    await runtime.stop();
    await cleanUp();
    throw error;
  }
  const stage: Stage = { runtime, tokenFor, cleanUp, subscriptions: [], tokens: [], closing: undefined };
  return new RunningTestApp(stage, undefined);
}
