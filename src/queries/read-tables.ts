/**
 * The kysely plugin of named queries: a table name of `reads` stands for that projection's versioned table, and any other
 * table is refused. So a handler can only read what its query declares.
 */
import {
  AliasNode,
  LimitNode,
  RawNode,
  ValueNode,
  type KyselyPlugin,
  type OperationNode,
  type PluginTransformQueryArgs,
  type PluginTransformResultArgs,
  type QueryResult,
  type RootOperationNode,
  type UnknownRow,
} from 'kysely';
import type { Field } from '../domain/fields.js';
import { quoteIdent } from '../platform/postgres/database.js';
import { RefusedStatement, TableMapper } from '../platform/postgres/kysely/table-mapper.js';

export interface ReadTable {
  /** As the handler names it. */
  readonly name: string;
  /** Its columns as they were defined, without Tidemark's own. */
  readonly fields: readonly Pick<Field, 'name'>[];
  /** The qualified, quoted name of its table. */
  readonly table: string;
}

class ReadMapper extends TableMapper {
  readonly #query: string;
  readonly #tables: ReadonlyMap<string, ReadTable>;

  constructor(query: string, tables: ReadonlyMap<string, ReadTable>) {
    super();
    this.#query = query;
    this.#tables = tables;
  }

  protected override table(name: string, alias: OperationNode): OperationNode {
    const found = this.#tables.get(name);
    if (!found) throw this.unknown(name);
    // A list of the fields, so that `selectAll` gives a row as it was defined; the planner flattens it to the table.
    const fields = found.fields.map((field) => quoteIdent(field.name)).join(', ');
    return AliasNode.create(RawNode.createWithSql(`(SELECT ${fields} FROM ${found.table})`), alias);
  }

  protected override unknown(name: string): RefusedStatement {
    return new RefusedStatement(
      `query ${this.#query} reads the table "${name}", which is not among its reads: ${[...this.#tables.keys()].join(', ')}`,
    );
  }
}

/** Made once a query; kysely calls it for each statement. */
export class ReadTables implements KyselyPlugin {
  readonly #query: string;
  readonly #tables: ReadonlyMap<string, ReadTable>;
  readonly #maxRows: number;

  /** @param maxRows rows that one statement may give, as all of them are held in memory */
  constructor(query: string, tables: readonly ReadTable[], maxRows: number) {
    this.#query = query;
    this.#tables = new Map(tables.map((one) => [one.name, one]));
    this.#maxRows = maxRows;
  }

  transformQuery({ node, queryId }: PluginTransformQueryArgs): RootOperationNode {
    if (node.kind !== 'SelectQueryNode' && node.kind !== 'RawNode') {
      throw new RefusedStatement(`query ${this.#query} tried ${node.kind}; a query only selects`);
    }
    const mapped = new ReadMapper(this.#query, this.#tables).transformNode(node, queryId);
    if (mapped.kind !== 'SelectQueryNode' || mapped.limit || mapped.fetch) return mapped;
    return { ...mapped, limit: LimitNode.create(ValueNode.createImmediate(this.#maxRows + 1)) };
  }

  async transformResult({ result }: PluginTransformResultArgs): Promise<QueryResult<UnknownRow>> {
    if (result.rows.length <= this.#maxRows) return result;
    throw new RefusedStatement(
      `query ${this.#query}: a statement gave more than ${this.#maxRows} rows; it needs a limit`,
    );
  }
}
