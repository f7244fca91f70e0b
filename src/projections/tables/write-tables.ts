/**
 * The kysely plugin of handlers: the names of a projection's tables stand for those of its version, which it may select
 * from, insert into, update and delete from; whatever else it tries is refused before it is sent. Values of JSON columns
 * go as JSON.
 */
import {
  AliasNode,
  ColumnNode,
  IdentifierNode,
  LimitNode,
  PrimitiveValueListNode,
  RawNode,
  ReferenceNode,
  TableNode,
  ValueListNode,
  ValueNode,
  ValuesNode,
  type ColumnUpdateNode,
  type CommonTableExpressionNode,
  type InsertQueryNode,
  type KyselyPlugin,
  type MergeQueryNode,
  type OperationNode,
  type PluginTransformQueryArgs,
  type PluginTransformResultArgs,
  type QueryId,
  type QueryResult,
  type RootOperationNode,
  type UnknownRow,
  type UpdateQueryNode,
} from 'kysely';
import type { AnyTables } from '../../domain/tables.js';
import { RefusedStatement, TableMapper } from '../../platform/postgres/kysely/table-mapper.js';
import { readableTables } from '../names.js';

interface WriteTable {
  readonly node: TableNode;
  readonly json: ReadonlySet<string>;
}

const STATEMENTS: readonly OperationNode['kind'][] = [
  'SelectQueryNode',
  'InsertQueryNode',
  'UpdateQueryNode',
  'DeleteQueryNode',
];

/** Rows that one statement may give, as all of them are held in memory. */
const MAX_ROWS = 50_000;

/** A fragment that reads a table by a name of its own, past the mapping. */
const READS_BY_NAME = /\b(?:from|join|table)\s+(?:only\s+)?["a-z_]/i;
const HAS_SELECT = /\b(?:select|table)\b/i;

class WriteMapper extends TableMapper {
  readonly #tables: ReadonlyMap<string, WriteTable>;
  /** What the statements around this node write, innermost last. */
  readonly #targets: WriteTable[] = [];

  constructor(tables: ReadonlyMap<string, WriteTable>) {
    super();
    this.#tables = tables;
  }

  protected override table(name: string, alias: OperationNode): OperationNode {
    return AliasNode.create(this.#find(name).node, alias);
  }

  protected override unknown(name: string): RefusedStatement {
    return this.#refused(
      `uses the table "${name}", which is not among its own: ${[...this.#tables.keys()].join(', ')}`,
    );
  }

  protected override transformInsertQuery(node: InsertQueryNode, queryId?: QueryId): InsertQueryNode {
    const [target, into] = this.#target(node.into);
    const values =
      node.values && ValuesNode.is(node.values) ? jsonValues(node, node.values, target) : node.values;
    this.#targets.push(target);
    const mapped = super.transformInsertQuery({ ...node, ...(values && { values }) }, queryId);
    this.#targets.pop();
    // Its type says TableNode; what is written is whatever stands there, and the alias lets `sales.cents` name the row that is there.
    return { ...mapped, into: into as OperationNode as TableNode };
  }

  protected override transformUpdateQuery(node: UpdateQueryNode, queryId?: QueryId): UpdateQueryNode {
    const [target, table] = this.#target(node.table);
    this.#targets.push(target);
    const mapped = super.transformUpdateQuery(node, queryId);
    this.#targets.pop();
    return { ...mapped, table };
  }

  protected override transformColumnUpdate(node: ColumnUpdateNode, queryId?: QueryId): ColumnUpdateNode {
    const name = columnName(node.column);
    const json = name !== undefined && this.#targets.at(-1)?.json.has(name);
    const value = json && ValueNode.is(node.value) ? ValueNode.create(toJson(node.value.value)) : node.value;
    return super.transformColumnUpdate({ ...node, value }, queryId);
  }

  protected override transformCommonTableExpression(
    node: CommonTableExpressionNode,
    queryId?: QueryId,
  ): CommonTableExpressionNode {
    this.checkStatement(node.expression);
    return super.transformCommonTableExpression(node, queryId);
  }

  protected override transformMergeQuery(node: MergeQueryNode): MergeQueryNode {
    throw this.#notOne(node);
  }

  protected override transformRaw(node: RawNode, queryId?: QueryId): RawNode {
    const text = node.sqlFragments.join(' ? ');
    if (HAS_SELECT.test(text) && READS_BY_NAME.test(text))
      throw this.#refused('names a table in a raw fragment; expected sql.table(…) or kysely');
    return super.transformRaw(node, queryId);
  }

  protected override source(node: OperationNode, queryId: QueryId | undefined): OperationNode {
    const inner = AliasNode.is(node) ? node.node : node;
    // `unnest(…)`, `generate_series(…)`, `sql.table(…)`, but no name of a table.
    if (RawNode.is(inner) && inner.parameters.length === 0 && !inner.sqlFragments.join('').includes('('))
      throw this.unknown(inner.sqlFragments.join('').trim());
    return super.source(node, queryId);
  }

  /** @throws RefusedStatement unless it is a whole statement of the kinds that handlers have */
  checkStatement(node: OperationNode): void {
    if (!STATEMENTS.includes(node.kind)) throw this.#notOne(node);
  }

  #notOne({ kind }: OperationNode): RefusedStatement {
    return this.#refused(`tried ${kind}; a handler selects, inserts, updates and deletes, and nothing else`);
  }

  #refused(what: string): RefusedStatement {
    return new RefusedStatement(`it ${what}`);
  }

  #find(name: string): WriteTable {
    const found = this.#tables.get(name);
    if (!found) throw this.unknown(name);
    return found;
  }

  /** The table that is written, under the name that the statement has for it. */
  #target(node: OperationNode | undefined): [WriteTable, OperationNode] {
    const table = node && AliasNode.is(node) ? node.node : node;
    if (!table || !TableNode.is(table)) throw this.#refused('writes what is no single table');
    const { schema, identifier } = table.table;
    if (schema) throw this.unknown(`${schema.name}.${identifier.name}`);
    const found = this.#find(identifier.name);
    const alias = node && AliasNode.is(node) ? node.alias : IdentifierNode.create(identifier.name);
    return [found, AliasNode.create(found.node, alias)];
  }
}

/** SQL's NULL stands for both: a column that may be null is not one that holds JSON's null. */
const toJson = (value: unknown): unknown =>
  value === null || value === undefined ? value : JSON.stringify(value);

function columnName(node: OperationNode): string | undefined {
  const column = ReferenceNode.is(node) ? node.column : node;
  return ColumnNode.is(column) ? column.column.name : undefined;
}

/** The rows of an insert, values of JSON columns as their text. */
function jsonValues({ columns = [] }: InsertQueryNode, node: ValuesNode, { json }: WriteTable): ValuesNode {
  const at = new Set(columns.flatMap(({ column }, index) => (json.has(column.name) ? [index] : [])));
  if (at.size === 0) return node;
  const values = node.values.map((item) =>
    PrimitiveValueListNode.is(item)
      ? PrimitiveValueListNode.create(
          item.values.map((value, index) => (at.has(index) ? toJson(value) : value)),
        )
      : ValueListNode.create(
          item.values.map((value, index) =>
            at.has(index) && ValueNode.is(value) ? ValueNode.create(toJson(value.value)) : value,
          ),
        ),
  );
  return ValuesNode.create(values);
}

/** Made once a projection; kysely calls it for each statement. */
export class WriteTables implements KyselyPlugin {
  readonly #tables: ReadonlyMap<string, WriteTable>;

  constructor(schema: string, projection: AnyTables) {
    this.#tables = new Map(
      readableTables(projection).map(({ name, table, fields }) => [
        name,
        {
          node: TableNode.createWithSchema(schema, table),
          json: new Set(fields.filter(({ kind }) => kind === 'json').map((field) => field.name)),
        },
      ]),
    );
  }

  transformQuery({ node, queryId }: PluginTransformQueryArgs): RootOperationNode {
    const mapper = new WriteMapper(this.#tables);
    mapper.checkStatement(node);
    const mapped = mapper.transformNode(node, queryId);
    if (mapped.kind !== 'SelectQueryNode' || mapped.limit || mapped.fetch) return mapped;
    return { ...mapped, limit: LimitNode.create(ValueNode.createImmediate(MAX_ROWS + 1)) };
  }

  async transformResult({ result }: PluginTransformResultArgs): Promise<QueryResult<UnknownRow>> {
    if (result.rows.length <= MAX_ROWS) return result;
    throw new RefusedStatement(`it read more than ${MAX_ROWS} rows with one statement, which needs a limit`);
  }
}
