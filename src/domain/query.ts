/** Named queries: typed, read-only SQL over the read models that they name. */
import type { Kysely } from 'kysely';
import type { z } from 'zod';
import { DefinitionError } from './errors.js';
import { jsonSchemaOf } from './fields.js';
import { checkName, RESERVED_QUERY_FIELDS } from './identifiers.js';
import type { AnyProjection } from './projection.js';

type RowOf<P> = P extends { readonly $types?: { readonly row: infer R } } ? R : never;

/** A row as its table holds it: a field that is absent from the row is NULL in its column. */
type ColumnsOf<R> = {
  [F in keyof R]-?: undefined extends R[F] ? Exclude<R[F], undefined> | null : R[F];
};

/** Tables that a query may read: projection name → columns. */
export type ReadTables<R extends readonly AnyProjection[]> = {
  [P in R[number] as P['name']]: ColumnsOf<RowOf<P>>;
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
  readonly reads: readonly AnyProjection[];
  handle(request: { db: unknown; input: unknown }): Promise<unknown>;
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

interface QueryOptions<I extends z.ZodType, O extends z.ZodType, R extends readonly AnyProjection[]> {
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
  const R extends readonly AnyProjection[],
>(
  name: N,
  options: QueryOptions<I, O, R>,
): {
  handle(
    handler: (request: {
      readonly db: ReadDatabase<ReadTables<R>>;
      readonly input: z.output<I>;
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
      const erased = handler as (request: { db: unknown; input: unknown }) => unknown;
      return Object.freeze({
        kind: 'query' as const,
        name,
        input: options.input,
        output: options.output,
        reads: Object.freeze([...options.reads]),
        handle: async (request: { db: unknown; input: unknown }) => erased(request),
      });
    },
  };
}
