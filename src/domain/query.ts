/** Named queries: typed, read-only SQL over the read models that they name. */
import type { Kysely } from 'kysely';
import type { z } from 'zod';
import { DefinitionError } from './errors.js';
import { jsonSchemaOf } from './fields.js';
import { checkName, RESERVED_QUERY_FIELDS } from './identifiers.js';
import type { Principal } from './rights.js';
import type { AnyReadModel, ColumnsOf } from './tables.js';

type RowOf<P> = P extends { readonly $types?: { readonly row: infer R } } ? R : never;
type TablesOf<P> = P extends { readonly $types?: { readonly tables: infer T } } ? T : never;

/** Names of the tables of a projection: its own, or those that it declares. */
type TableNames<P extends AnyReadModel> = P extends { readonly kind: 'tables' }
  ? keyof TablesOf<P> & string
  : P['name'];
type ColumnsIn<P extends AnyReadModel, N extends string> = P extends { readonly kind: 'tables' }
  ? N extends keyof TablesOf<P>
    ? TablesOf<P>[N]
    : never
  : N extends P['name']
    ? ColumnsOf<RowOf<P>>
    : never;

/** Tables that a query may read: table name → columns. A projection’s rows are a table of its name. */
export type ReadTables<R extends readonly AnyReadModel[]> = {
  [N in TableNames<R[number]>]: ColumnsIn<R[number], N>;
};

/** kysely without what writes. At run time the transaction is read-only, and only the tables of `reads` are there. */
export type ReadDatabase<Tables> = Pick<
  Kysely<Tables>,
  'selectFrom' | 'with' | 'withRecursive' | 'selectNoFrom' | 'fn' | 'case' | 'dynamic'
>;

export interface AnyQuery {
  readonly kind: 'query';
  readonly name: string;
  readonly input: z.ZodType;
  readonly output: z.ZodType;
  readonly reads: readonly AnyReadModel[];
  handle(request: { db: unknown; input: unknown; principal: Principal }): Promise<unknown>;
}

export interface Query<
  N extends string = string,
  I extends z.ZodType = z.ZodType,
  O extends z.ZodType = z.ZodType,
> extends AnyQuery {
  readonly name: N;
  readonly input: I;
  readonly output: O;
}

interface QueryOptions<I extends z.ZodType, O extends z.ZodType, R extends readonly AnyReadModel[]> {
  /** Object schema; values of GET parameters are coerced to its types. */
  readonly input: I;
  readonly output: O;
  readonly reads: R;
}

/**
 * Defines a query: `query(name, { input, output, reads }).handle(({ db, input }) => …)`.
 * @throws DefinitionError with what was expected
 */
export function query<
  N extends string,
  I extends z.ZodType,
  O extends z.ZodType,
  const R extends readonly AnyReadModel[],
>(
  name: N,
  options: QueryOptions<I, O, R>,
): {
  handle(
    handler: (request: {
      readonly db: ReadDatabase<ReadTables<R>>;
      readonly input: z.output<I>;
      /** Who asks; `anonymous` where rights are off. */
      readonly principal: Principal;
    }) => Promise<z.input<O>> | z.input<O>,
  ): Query<N, I, O>;
} {
  checkName('query', name);
  const json = jsonSchemaOf(`query ${name}, input`, options.input, 'input');
  if (json.type !== 'object') throw new DefinitionError(`query ${name}: input: expected z.object({…})`);
  const reserved = Object.keys(json.properties ?? {}).filter((field) =>
    RESERVED_QUERY_FIELDS.includes(field),
  );
  if (reserved.length > 0) {
    throw new DefinitionError(
      `query ${name}: input field "${reserved[0]}" collides with a query parameter; reserved are ${RESERVED_QUERY_FIELDS.join(', ')}`,
    );
  }
  jsonSchemaOf(`query ${name}, output`, options.output, 'output');
  if (options.reads.length === 0)
    throw new DefinitionError(`query ${name}: expected at least one projection in reads`);
  if (new Set(options.reads.map((read) => read.name)).size < options.reads.length)
    throw new DefinitionError(`query ${name}: two reads of one name`);
  return {
    handle(handler) {
      if (typeof handler !== 'function')
        throw new DefinitionError(`query ${name}: expected handle to be given a function`);
      const erased = handler as (request: Parameters<AnyQuery['handle']>[0]) => unknown;
      return Object.freeze({
        kind: 'query' as const,
        name,
        input: options.input,
        output: options.output,
        reads: Object.freeze([...options.reads]),
        handle: async (request: Parameters<AnyQuery['handle']>[0]) => erased(request),
      });
    },
  };
}
