/** Runs named queries: input checked, handler on read-only kysely, result as JSON text. */
import type { AnyApp } from '../domain/app.js';
import { parseInput, type InputFault } from '../domain/input.js';
import type { AnyQuery } from '../domain/query.js';
import type { Principal } from '../domain/rights.js';
import type { AnyReadModel } from '../domain/tables.js';
import { isTidemarkError, messageOf, TidemarkError } from '../platform/errors.js';
import type { Database } from '../platform/postgres/database.js';
import { isTimeout, isUnavailable } from '../platform/postgres/sqlstate.js';
import { readableTables } from '../projections/names.js';
import type { ServingGate } from '../projections/types.js';
import { forbidden, type Guard } from '../rights/guard.js';
import type { Parameters } from './parameters.js';
import { inputReader } from './query-input.js';
import { withReadDatabase, type Admission } from './read-database.js';
import { ReadTables } from './read-tables.js';
import { lockAndSelectEpochs } from './statements.js';

export interface NamedQueriesOptions {
  readonly app: AnyApp;
  readonly db: Database;
  readonly guard: Guard;
  /** What was read counts only if it lets it through. */
  readonly gate?: ServingGate;
  /** Results are checked against the output schema too: on in tests, off where speed counts. */
  readonly checkOutput?: boolean;
  /** Milliseconds for one query; 10,000 by default. */
  readonly timeoutMs?: number;
  /** Rows that one statement of a query may give; 50,000 by default. */
  readonly maxRows?: number;
}

export interface QueryResult {
  readonly json: string;
  /** Keys of what it reads are parked. */
  readonly parked: boolean;
}

export interface PreparedQuery {
  /** The projections that it reads. */
  readonly reads: readonly AnyReadModel[];
  /**
   * @throws TidemarkError `query_timeout`, `projection_building`, `database_unavailable`, `internal_error` (whatever the handler threw is its cause)
   */
  run(): Promise<QueryResult>;
}

/** What one run is told of what it reads. */
interface Notice {
  parked: boolean;
}

interface Known {
  readonly query: AnyQuery;
  readonly tables: ReadTables;
  readonly admission: ((notice: Notice) => Admission) | undefined;
  readonly read: (parameters: Parameters) => Record<string, unknown>;
}

export type QueryInput =
  | { readonly from: 'parameters'; readonly parameters: Parameters }
  | { readonly from: 'body'; readonly body: unknown };

/** Where a value cannot be JSON, as a JSON Pointer; undefined where it can. `JSON.stringify` would write null there. */
function notJson(value: unknown, path = ''): string | undefined {
  switch (typeof value) {
    case 'number':
      return Number.isFinite(value) ? undefined : path;
    case 'string':
    case 'boolean':
      return undefined;
    case 'object': {
      if (value === null || 'toJSON' in value) return undefined;
      const list = Array.isArray(value);
      for (const [name, inner] of Object.entries(value)) {
        if (inner === undefined && !list) continue;
        const found = notJson(inner, `${path}/${name}`);
        if (found !== undefined) return found;
      }
      return undefined;
    }
    default:
      return path;
  }
}

const shown = (faults: readonly InputFault[]): string =>
  faults.map(({ path, message }) => `${path || '(all of it)'}: ${message}`).join('; ');

/** Nothing is shown of a table that is being built, also where that began a moment ago. */
function admissionTo(
  { db, gate }: NamedQueriesOptions,
  reads: AnyQuery['reads'],
  tables: readonly { readonly table: string }[],
): ((notice: Notice) => Admission) | undefined {
  if (!gate) return undefined;
  const text = lockAndSelectEpochs(
    db,
    reads,
    tables.map(({ table }) => table),
  );
  return (notice) => ({
    text,
    admit: async (rows) => {
      notice.parked = rows.some(([, , parked]) => parked === true);
      for (const [name, epoch] of rows) await gate.confirm(String(name), String(epoch));
    },
  });
}

function known(options: NamedQueriesOptions, query: AnyQuery): Known {
  const { db, maxRows = 50_000 } = options;
  const tables = query.reads.flatMap((projection) =>
    readableTables(projection).map(({ name, table, fields }) => ({ name, fields, table: db.table(table) })),
  );
  return {
    query,
    tables: new ReadTables(query.name, tables, maxRows),
    admission: admissionTo(options, query.reads, tables),
    read: inputReader(query),
  };
}

export class NamedQueries {
  readonly #options: NamedQueriesOptions;
  readonly #known: ReadonlyMap<string, Known>;

  constructor(options: NamedQueriesOptions) {
    this.#options = options;
    this.#known = new Map(options.app.queries.map((query) => [query.name, known(options, query)]));
  }

  /**
   * Checks the input, and whether whoever asks may; nothing is read yet.
   * @throws TidemarkError `unknown_query` (with the list of those there are), `forbidden`, `rule_failed`, `invalid_parameter`,
   *   `invalid_payload`
   */
  prepare(name: string, input: QueryInput, principal: Principal): PreparedQuery {
    const asked = this.#find(name);
    const { query, read } = asked;
    const may = this.#options.guard.mayQuery(principal, name);
    const given = input.from === 'body' ? input.body : read(input.parameters);
    const parsed = parseInput(query.input, given);
    if (!parsed.ok) {
      const code = input.from === 'body' ? 'invalid_payload' : 'invalid_parameter';
      throw new TidemarkError(code, `query ${name}: ${shown(parsed.faults)}`, { faults: parsed.faults });
    }
    if (!may({ input: parsed.value })) throw forbidden(`query ${name}`);
    return {
      reads: query.reads,
      run: async () => {
        const notice: Notice = { parked: false };
        const work = (db: unknown) => query.handle({ db, input: parsed.value, principal });
        const json = this.#toJson(query, await this.#handle(asked, work, notice));
        return { json, ...notice };
      },
    };
  }

  #find(name: string): Known {
    const found = this.#known.get(name);
    if (found) return found;
    const names = [...this.#known.keys()];
    throw new TidemarkError(
      'unknown_query',
      `there is no query of this name; there are ${names.join(', ') || '(none)'}`,
      { extra: { known: names } },
    );
  }

  async #handle(
    { query, tables, admission }: Known,
    work: (db: unknown) => Promise<unknown>,
    notice: Notice,
  ): Promise<unknown> {
    const { db: database, timeoutMs = 10_000 } = this.#options;
    try {
      return await withReadDatabase(database, tables, timeoutMs, work, admission?.(notice));
    } catch (error) {
      if (isTidemarkError(error, 'query_timeout') || isTidemarkError(error, 'projection_building'))
        throw error;
      if (isTimeout(error)) {
        throw new TidemarkError('query_timeout', `the query took more than ${timeoutMs} ms`, {
          retryAfter: 1,
          cause: error,
        });
      }
      if (isUnavailable(error)) {
        throw new TidemarkError('database_unavailable', 'the database does not answer', {
          retryAfter: 1,
          cause: error,
        });
      }
      throw new TidemarkError('internal_error', `query ${query.name} failed: ${messageOf(error)}`, {
        cause: error,
      });
    }
  }

  #toJson(query: AnyQuery, result: unknown): string {
    const wrong = notJson(result);
    if (wrong !== undefined) {
      throw new TidemarkError('internal_error', `query ${query.name}: its result is no JSON at "${wrong}"`);
    }
    const text = JSON.stringify(result);
    if (this.#options.checkOutput) {
      const checked = parseInput(query.output, JSON.parse(text));
      if (!checked.ok) {
        const message = `query ${query.name}: its result does not fit its output schema: ${shown(checked.faults)}`;
        throw new TidemarkError('internal_error', message, { faults: checked.faults });
      }
    }
    return text;
  }
}
