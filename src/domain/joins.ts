/** Joins of a projection: columns that another stream gives to every row that names it. */
import { z } from 'zod';
import type { AnyAggregate } from './aggregate.js';
import { lookup } from './decider.js';
import { DefinitionError } from './errors.js';
import { deepFreeze } from './freeze.js';
import { faultText } from './input.js';
import type { AnyProjection, Join, RowValue } from './projection.js';
import { namesOf } from './row-fields.js';

export interface ErasedJoinOptions {
  readonly by: string;
  readonly none: RowValue;
  readonly fold: Join['fold'];
}

/** @throws DefinitionError when what was handed in is no finished aggregate */
export function checkAggregate(where: string, aggregate: AnyAggregate): void {
  if (aggregate?.kind !== 'aggregate')
    throw new DefinitionError(
      `${where}: expected what aggregate(…).evolve(…).decide(…) gives, also not before its end`,
    );
}

/** Folds by event type, each a function. @throws DefinitionError with what was expected */
export function checkFold(
  where: string,
  aggregate: AnyAggregate,
  fold: Readonly<Record<string, unknown>>,
): void {
  const types = Object.keys(fold);
  const unknown = types.filter((type) => !Object.hasOwn(aggregate.events, type));
  if (unknown.length > 0) {
    throw new DefinitionError(
      `${where}: fold of unknown ${unknown.join(', ')}; events of ${aggregate.name} are ${Object.keys(aggregate.events).join(', ')}`,
    );
  }
}

/** The schema of some of a row’s fields, with no other; `names` are left out where `part` is `without`. */
export function schemaOf(
  where: string,
  row: z.ZodType,
  names: readonly string[],
  part: 'only' | 'without',
): z.ZodType {
  if (!(row instanceof z.ZodObject)) throw new DefinitionError(`${where}: expected z.object({…})`);
  if ((row._zod.def.checks?.length ?? 0) > 0)
    throw new DefinitionError(
      `${where}: a row with joins is checked column by column: expected z.object({…}) without refine`,
    );
  const fields = Object.entries(row.shape).filter(([name]) => names.includes(name) === (part === 'only'));
  return z.strictObject(Object.fromEntries(fields));
}

function checkBy(
  where: string,
  { fields, joins }: AnyProjection,
  by: string,
  columns: readonly string[],
): void {
  const field = fields.find(({ name }) => name === by);
  if (!field) throw new DefinitionError(`${where}: by "${by}" is no field; fields are ${namesOf(fields)}`);
  if (field.kind !== 'text')
    throw new DefinitionError(`${where}: by "${by}": expected a text, the id of the stream that is joined`);
  const chained = joins.find((other) => other.columns.includes(by) || columns.includes(other.by));
  if (chained)
    throw new DefinitionError(
      `${where}: "${chained.columns.includes(by) ? by : chained.by}" is a column of a join and what another goes by; joins do not follow joins`,
    );
}

function checkColumns(
  where: string,
  { fields, key, joins }: AnyProjection,
  by: string,
  none: RowValue,
): string[] {
  const columns = Object.keys(none);
  if (columns.length === 0)
    throw new DefinitionError(`${where}: none: expected a value for each joined column`);
  for (const name of columns) {
    if (!fields.some((field) => field.name === name))
      throw new DefinitionError(`${where}: none: "${name}" is no field; fields are ${namesOf(fields)}`);
    if (name === key || name === by)
      throw new DefinitionError(
        `${where}: none: "${name}" is ${name === key ? 'the key' : 'what it goes by'}`,
      );
    if (joins.some((other) => other.columns.includes(name)))
      throw new DefinitionError(`${where}: none: "${name}" is a column of another join already`);
  }
  return columns;
}

/** @throws DefinitionError with what was expected */
export function checkedJoin(base: AnyProjection, aggregate: AnyAggregate, options: ErasedJoinOptions): Join {
  const start = `projection ${base.name}: .join(…)`;
  checkAggregate(start, aggregate);
  const where = `projection ${base.name}: .join(${aggregate.name})`;
  const isObject = (value: unknown): boolean => typeof value === 'object' && value !== null;
  if (!isObject(options) || !isObject(options.none) || !isObject(options.fold))
    throw new DefinitionError(`${where}: expected { by, none, fold }`);
  const { by, none, fold } = options;
  if (base.joins.some((other) => other.source === aggregate.name && other.by === by))
    throw new DefinitionError(`${where}: by "${by}" stands there twice; one join may give several columns`);
  const columns = checkColumns(where, base, by, none);
  checkBy(where, base, by, columns);
  checkFold(where, aggregate, fold);
  const types = Object.keys(fold);
  if (types.length === 0 || types.some((type) => typeof fold[type] !== 'function'))
    throw new DefinitionError(`${where}: expected at least one fold, all functions`);
  const schema = schemaOf(where, base.row, columns, 'only');
  const parsed = schema.safeParse(none);
  if (!parsed.success)
    throw new DefinitionError(`${where}: none does not fit the row: ${faultText(parsed.error)}`);
  return Object.freeze({
    source: aggregate.name,
    by,
    columns: Object.freeze(columns),
    none: deepFreeze(parsed.data as RowValue), // a schema of an object’s fields
    schema,
    fold: lookup(fold),
  });
}
