/** What a row must keep to so that its table, its indexes and its change can hold it. */
import { MAX_JSON_BYTES } from '../domain/identifiers.js';
import { textFaults } from '../domain/texts.js';
import type { Part } from '../domain/parts.js';
import type { AnyProjection, Join, ProjectionSource, RowValue } from '../domain/projection.js';
import { indexesOf } from './ddl.js';

/** Of a btree's entry of 2,704 bytes, what is left for texts. */
const MAX_INDEX_TEXT = 2_500;
/** JSON writes NUL and unpaired surrogates, which Postgres's text cannot hold, as escapes. Misses nothing, finds too much. */
const MAYBE_UNFIT = /\\u(?:0000|d[89a-f])|"__proto__"/;

/** Of an index’s texts and of a row’s JSON, what is kept free for the columns of all joins together; the row’s own have the rest. */
const JOINED_INDEX_TEXT = 1_000;
/** JSON of the columns that one stream gives to a row. */
const MAX_PART_BYTES = 16 * 1024;

/** The texts of one index: which columns are counted together, and how many bytes they may have. */
interface TextBudget {
  readonly columns: readonly string[];
  readonly bytes: number;
}

interface Budgets {
  readonly own: readonly TextBudget[];
  readonly joins: ReadonlyMap<Join, readonly TextBudget[]>;
}

const budgets = new WeakMap<AnyProjection, Budgets>();

/**
 * Where an index has columns of joins, each join and the row itself have a share of it: what does not fit is told by one
 * fold alone then, whatever the others make.
 */
function budgetsOf(projection: AnyProjection): Budgets {
  const known = budgets.get(projection);
  if (known) return known;
  const texts = new Set(projection.fields.filter(({ kind }) => kind === 'text').map(({ name }) => name));
  const indexes = indexesOf(projection).map((columns) => columns.filter((name) => texts.has(name)));
  const own: TextBudget[] = [];
  const joins = new Map<Join, TextBudget[]>(projection.joins.map((join) => [join, []]));
  for (const names of indexes) {
    const given = projection.joins.filter(({ columns }) => columns.some((name) => names.includes(name)));
    for (const join of given)
      joins.get(join)?.push({
        columns: names.filter((name) => join.columns.includes(name)),
        bytes: Math.floor(JOINED_INDEX_TEXT / given.length),
      });
    own.push({
      columns: names.filter((name) => !given.some(({ columns }) => columns.includes(name))),
      bytes: given.length > 0 ? MAX_INDEX_TEXT - JOINED_INDEX_TEXT : MAX_INDEX_TEXT,
    });
  }
  const made = { own, joins };
  budgets.set(projection, made);
  return made;
}

const bytesOf = (value: unknown): number => (typeof value === 'string' ? Buffer.byteLength(value) : 0);

function indexFault(all: readonly TextBudget[], row: RowValue): string | undefined {
  for (const { columns, bytes: most } of all) {
    const bytes = columns.reduce((sum, name) => sum + bytesOf(row[name]), 0);
    if (bytes > most)
      return `the indexed texts ${columns.join(', ')} have ${bytes} bytes together; expected at most ${most}`;
  }
  return undefined;
}

/**
 * Why a row cannot be stored, or undefined when it can. Where there are joins, their columns have bounds of their own
 * (`partFault`), so that it is the same with them and without.
 * @param json its JSON text
 */
export function rowFault(projection: AnyProjection, row: RowValue, json: string): string | undefined {
  const most = MAX_JSON_BYTES - MAX_PART_BYTES * projection.joins.length;
  // A UTF-16 code unit has at most three bytes of UTF-8.
  if (json.length * 3 > most && Buffer.byteLength(json) > most) {
    return `the row is ${Buffer.byteLength(json)} bytes of JSON; expected at most ${most}`;
  }
  if (MAYBE_UNFIT.test(json)) {
    const [fault] = textFaults(row);
    if (fault) return `row field ${fault.path}: ${fault.message}`;
  }
  const least = projection.joins.length > 0 ? MAX_INDEX_TEXT - JOINED_INDEX_TEXT : MAX_INDEX_TEXT;
  return json.length * 3 <= least ? undefined : indexFault(budgetsOf(projection).own, row);
}

/**
 * Why what a stream gives to rows cannot be stored, or undefined when it can.
 * @param source the stream’s aggregate
 */
export function partFault(
  projection: AnyProjection,
  source: ProjectionSource,
  part: Part,
): string | undefined {
  const json = JSON.stringify(part.columns);
  if (Buffer.byteLength(json) > MAX_PART_BYTES)
    return `the joined columns are ${Buffer.byteLength(json)} bytes of JSON; expected at most ${MAX_PART_BYTES}`;
  const [fault] = MAYBE_UNFIT.test(json) ? textFaults(part.columns) : [];
  if (fault) return `joined column ${fault.path}: ${fault.message}`;
  for (const join of source.joins) {
    const wide = indexFault(budgetsOf(projection).joins.get(join) ?? [], part.columns);
    if (wide !== undefined) return wide;
  }
  return part.row === null ? undefined : rowFault(projection, part.row, JSON.stringify(part.row));
}
