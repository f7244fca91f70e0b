/**
 * Makes kysely's names of tables those of Postgres: a name that is known stands for a table of a version, names of CTEs
 * for themselves, and any other table is refused. So whoever gets such a kysely reaches what was declared, and no more.
 */
import {
  AliasNode,
  IdentifierNode,
  OperationNodeTransformer,
  TableNode,
  type DeleteQueryNode,
  type FromNode,
  type InsertQueryNode,
  type JoinNode,
  type OperationNode,
  type QueryId,
  type RawNode,
  type SelectQueryNode,
  type UpdateQueryNode,
  type UsingNode,
  type WithNode,
} from 'kysely';

/** A handler asked for what it did not declare. A fault of the definition, for the log. */
export class RefusedStatement extends Error {
  override readonly name = 'RefusedStatement';
}

/** Made anew for each statement. */
export abstract class TableMapper extends OperationNodeTransformer {
  /** Names of the CTEs that can be seen, innermost last. */
  readonly #scopes: Set<string>[] = [];

  /** What stands for a table where it is read. @throws RefusedStatement when it is none of those declared */
  protected abstract table(name: string, alias: OperationNode): OperationNode;

  protected abstract unknown(name: string): RefusedStatement;

  protected override transformSelectQuery(node: SelectQueryNode, queryId?: QueryId): SelectQueryNode {
    return this.#scoped(node, () => super.transformSelectQuery(node, queryId));
  }

  protected override transformInsertQuery(node: InsertQueryNode, queryId?: QueryId): InsertQueryNode {
    return this.#scoped(node, () => super.transformInsertQuery(node, queryId));
  }

  protected override transformUpdateQuery(node: UpdateQueryNode, queryId?: QueryId): UpdateQueryNode {
    return this.#scoped(node, () => super.transformUpdateQuery(node, queryId));
  }

  protected override transformDeleteQuery(node: DeleteQueryNode, queryId?: QueryId): DeleteQueryNode {
    return this.#scoped(node, () => super.transformDeleteQuery(node, queryId));
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
    return { ...node, froms: node.froms.map((from) => this.source(from, queryId)) };
  }

  protected override transformUsing(node: UsingNode, queryId?: QueryId): UsingNode {
    return { ...node, tables: node.tables.map((table) => this.source(table, queryId)) };
  }

  protected override transformJoin(node: JoinNode, queryId?: QueryId): JoinNode {
    return {
      ...node,
      table: this.source(node.table, queryId),
      ...(node.on ? { on: this.transformNode(node.on, queryId) } : {}),
    };
  }

  /** `sql.table('…')` inside of a raw fragment. */
  protected override transformRaw(node: RawNode, queryId?: QueryId): RawNode {
    return { ...node, parameters: node.parameters.map((one) => this.source(one, queryId)) };
  }

  /** What a statement reads from. */
  protected source(node: OperationNode, queryId: QueryId | undefined): OperationNode {
    if (TableNode.is(node)) return this.#named(node);
    if (AliasNode.is(node) && TableNode.is(node.node)) return this.#named(node.node, node.alias);
    return this.transformNode(node, queryId);
  }

  #named(node: TableNode, alias?: OperationNode): OperationNode {
    const { schema, identifier } = node.table;
    const { name } = identifier;
    if (schema) throw this.unknown(`${schema.name}.${name}`);
    if (this.#scopes.some((scope) => scope.has(name))) return alias ? AliasNode.create(node, alias) : node;
    return this.table(name, alias ?? IdentifierNode.create(name));
  }

  #scoped<N extends { readonly with?: WithNode }>(node: N, transform: () => N): N {
    this.#scopes.push(new Set(node.with ? namesIn(node.with) : []));
    const mapped = transform();
    this.#scopes.pop();
    return mapped;
  }
}

const namesIn = (node: WithNode): string[] =>
  node.expressions.map((expression) => expression.name.table.table.identifier.name);
