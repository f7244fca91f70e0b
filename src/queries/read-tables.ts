/**
 * The kysely plugin of named queries: a table name of `reads` stands for that projection's versioned table, names of CTEs
 * for themselves, and any other table is refused. So a handler can only read what its query declares.
 */
import {
  AliasNode,
  IdentifierNode,
  LimitNode,
  OperationNodeTransformer,
  RawNode,
  TableNode,
  ValueNode,
  type KyselyPlugin,
  type OperationNode,
  type PluginTransformQueryArgs,
  type PluginTransformResultArgs,
  type QueryId,
  type QueryResult,
  type RootOperationNode,
  type SelectQueryNode,
  type UnknownRow,
  type WithNode,
} from 'kysely';
import type { FromNode, JoinNode } from 'kysely';
import type { Field } from '../domain/fields.js';
import { quoteIdent } from '../platform/postgres/database.js';

export interface ReadTable {
  /** As the handler names it. */
  readonly name: string;
  /** Its columns as they were defined, without Tidemark's own. */
  readonly fields: readonly Pick<Field, 'name'>[];
  /** The qualified, quoted name of its table. */
  readonly table: string;
}

/** A handler asked for something that its query does not read. A fault of the definition, for the log. */
class UnreadableError extends Error {
  override readonly name = 'UnreadableError';
}

class TableMapper extends OperationNodeTransformer {
  readonly #query: string;
  readonly #tables: ReadonlyMap<string, ReadTable>;
  /** Names of the CTEs that can be seen, innermost last. */
  readonly #scopes: Set<string>[] = [];

  constructor(query: string, tables: ReadonlyMap<string, ReadTable>) {
    super();
    this.#query = query;
    this.#tables = tables;
  }

  protected override transformSelectQuery(node: SelectQueryNode, queryId?: QueryId): SelectQueryNode {
    this.#scopes.push(new Set(node.with ? namesIn(node.with) : []));
    const mapped = super.transformSelectQuery(node, queryId);
    this.#scopes.pop();
    return mapped;
  }

  /** A CTE sees those before it; with RECURSIVE all of them, itself too. */
  protected override transformWith(node: WithNode, queryId?: QueryId): WithNode {
    const scope = this.#scopes.at(-1);
    if (node.recursive || !scope) return super.transformWith(node, queryId);
    scope.clear();
    const expressions = node.expressions.map((expression) => {
      const mapped = this.transformNode(expression, queryId);
      scope.add(expression.name.table.table.identifier.name);
      return mapped;
    });
    return { ...node, expressions };
  }

  protected override transformFrom(node: FromNode, queryId?: QueryId): FromNode {
    return { ...node, froms: node.froms.map((from) => this.#source(from, queryId)) };
  }

  protected override transformJoin(node: JoinNode, queryId?: QueryId): JoinNode {
    return {
      ...node,
      table: this.#source(node.table, queryId),
      ...(node.on ? { on: this.transformNode(node.on, queryId) } : {}),
    };
  }

  /** `sql.table('…')` inside of a raw fragment. */
  protected override transformRaw(node: RawNode, queryId?: QueryId): RawNode {
    return { ...node, parameters: node.parameters.map((one) => this.#source(one, queryId)) };
  }

  #source(node: OperationNode, queryId: QueryId | undefined): OperationNode {
    if (TableNode.is(node)) return this.#table(node);
    if (AliasNode.is(node) && TableNode.is(node.node)) return this.#table(node.node, node.alias);
    return this.transformNode(node, queryId);
  }

  #table(node: TableNode, alias?: OperationNode): OperationNode {
    const { schema, identifier } = node.table;
    const { name } = identifier;
    if (!schema && this.#scopes.some((scope) => scope.has(name))) {
      return alias ? AliasNode.create(node, alias) : node;
    }
    const found = schema ? undefined : this.#tables.get(name);
    if (!found) {
      const asked = schema ? `${schema.name}.${name}` : name;
      throw new UnreadableError(
        `query ${this.#query} reads the table "${asked}", which is not among its reads: ${[...this.#tables.keys()].join(', ')}`,
      );
    }
    // A list of the fields, so that `selectAll` gives a row as it was defined; the planner flattens it to the table.
    const fields = found.fields.map((field) => quoteIdent(field.name)).join(', ');
    const rows = RawNode.createWithSql(`(SELECT ${fields} FROM ${found.table})`);
    return AliasNode.create(rows, alias ?? IdentifierNode.create(name));
  }
}

const namesIn = (node: WithNode): string[] =>
  node.expressions.map((expression) => expression.name.table.table.identifier.name);

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
      throw new UnreadableError(`query ${this.#query} tried ${node.kind}; a query only selects`);
    }
    const mapped = new TableMapper(this.#query, this.#tables).transformNode(node, queryId);
    if (mapped.kind !== 'SelectQueryNode' || mapped.limit || mapped.fetch) return mapped;
    return { ...mapped, limit: LimitNode.create(ValueNode.createImmediate(this.#maxRows + 1)) };
  }

  async transformResult({ result }: PluginTransformResultArgs): Promise<QueryResult<UnknownRow>> {
    if (result.rows.length <= this.#maxRows) return result;
    throw new UnreadableError(
      `query ${this.#query}: a statement gave more than ${this.#maxRows} rows; it needs a limit`,
    );
  }
}
