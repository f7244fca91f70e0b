/**
 * Parts: what a projection keeps of one stream beside its rows. A joined stream's part is the columns that it gives to every
 * row that names it; where rows move, a stream's part is its own row, with the key that it stands at. A part is a fold of its
 * own stream alone, and a row is told by the parts and by folds that see neither, so that rows are the same in any
 * interleaving of the streams, and no fold can make it otherwise.
 */
import { DomainError } from './errors.js';
import { idFault } from './identifiers.js';
import { faultText } from './input.js';
import type { AnyProjection, Join, ProjectionSource, RecordedEvent, RowValue } from './projection.js';

export interface Part {
  /** Version of the stream up to which its events are in. */
  readonly version: number;
  /** Columns of all joins of its aggregate, the values of `none` included. */
  readonly columns: RowValue;
  /** Where rows move: the row of the stream, without joined columns; null where it has none. */
  readonly row: RowValue | null;
  /** When `row` came to its key: `recordedAt` of that event; an empty text without a row. */
  readonly since: string;
}

/** A part and the stream that it is of. */
export interface StreamPart {
  /** Aggregate. */
  readonly source: string;
  readonly streamId: string;
  readonly part: Part;
}

/** Whether rows are made of parts. */
export const hasParts = ({ joins, rowsMove }: Pick<AnyProjection, 'joins' | 'rowsMove'>): boolean =>
  rowsMove || joins.length > 0;

/** Whether an event of this type changes the part of its stream. */
export const touchesPart = (source: ProjectionSource, type: string): boolean =>
  (source.moving && source.fold[type] !== undefined) ||
  source.joins.some((join) => join.fold[type] !== undefined);

const noColumns = (source: ProjectionSource): RowValue =>
  Object.assign({}, ...source.joins.map(({ none }) => none)) as RowValue;

const nameOf = ({ type, streamId, version }: RecordedEvent): string =>
  `${type} (stream ${JSON.stringify(streamId)} version ${version})`;

function checked(where: string, schema: Join['schema'], next: unknown): RowValue {
  if (typeof next !== 'object' || next === null || Array.isArray(next) || next instanceof Promise)
    throw new DomainError('invalid_row', `${where}: expected an object or null, got ${typeof next}`);
  const parsed = schema.safeParse({ ...next });
  if (!parsed.success)
    throw new DomainError('invalid_row', `${where}: it does not fit the schema: ${faultText(parsed.error)}`);
  return parsed.data as RowValue; // a schema of an object’s fields
}

function foldColumns(
  projection: AnyProjection,
  { joins }: ProjectionSource,
  columns: RowValue,
  event: RecordedEvent,
): RowValue {
  let next = columns;
  for (const join of joins) {
    const fold = join.fold[event.type];
    if (!fold) continue;
    const part = Object.freeze(Object.fromEntries(join.columns.map((name) => [name, columns[name]])));
    const given = fold(part, event, event.streamId);
    const where = `projection ${projection.name}, join by ${join.by}, fold of ${nameOf(event)}`;
    next = { ...next, ...(given === null ? join.none : checked(where, join.schema, given)) };
  }
  return next;
}

function foldMoving(
  projection: AnyProjection,
  source: ProjectionSource,
  before: Part | undefined,
  event: RecordedEvent,
): Pick<Part, 'row' | 'since'> {
  const { row = null, since = '' } = before ?? {};
  const fold = source.moving ? source.fold[event.type] : undefined;
  if (!fold) return { row, since };
  // Taken before: a fold that writes into its row must not change where the row stood.
  const stood = row?.[projection.key];
  const given = fold(row, event, event.streamId);
  if (given === null) return { row: null, since: '' };
  const where = `projection ${projection.name}, fold of ${nameOf(event)}`;
  const next = checked(where, projection.own, given);
  const key = next[projection.key];
  const fault = typeof key === 'string' ? idFault(key) : 'expected a text';
  if (fault !== undefined) throw new DomainError('invalid_row', `${where}: key ${projection.key}: ${fault}`);
  return { row: next, since: stood === key ? since : event.recordedAt };
}

/**
 * The part of a stream after an event; checked against the columns' schema. An event counts as a whole or not at all.
 * One that is in already changes nothing, so that it may be folded again.
 * @param before undefined: the stream has none yet
 * @throws DomainError `invalid_row` when a fold gives what the schema refuses, or whatever the fold throws
 */
export function foldPart(
  projection: AnyProjection,
  source: ProjectionSource,
  before: Part | undefined,
  event: RecordedEvent,
): Part {
  if (before && event.version <= before.version) return before;
  const columns = foldColumns(projection, source, before?.columns ?? noColumns(source), event);
  return { version: event.version, columns, ...foldMoving(projection, source, before, event) };
}

/** Where rows move: the key that a part's row stands at. */
export function keyOfPart(projection: AnyProjection, part: Part | undefined): string | undefined {
  const key = part?.row?.[projection.key];
  return typeof key === 'string' ? key : undefined;
}

/** By code points, as Postgres compares texts in the collation "C"; `<` compares UTF-16. */
function isBefore(a: string, b: string): boolean {
  const [left, right] = [a, b].map((text) => Array.from(text, (char) => char.codePointAt(0) ?? 0));
  for (const [at, code] of (left ?? []).entries()) {
    const other = right?.[at];
    if (other !== code) return other !== undefined && code < other;
  }
  return (left?.length ?? 0) < (right?.length ?? 0);
}

/**
 * Of several streams whose rows stand at one key, the one that is shown: who came there last. Equal times are told apart by
 * aggregate and stream id, so that the answer does not hang on the order in which they are looked at.
 */
export function holderOf(parts: readonly StreamPart[]): StreamPart | undefined {
  const order = ({ part, source, streamId }: StreamPart): readonly string[] => [part.since, source, streamId];
  return parts.reduce<StreamPart | undefined>((first, next) => {
    if (!first) return next;
    const [a, b] = [order(first), order(next)];
    const at = a.findIndex((text, index) => text !== b[index]);
    return at >= 0 && isBefore(a[at] ?? '', b[at] ?? '') ? next : first;
  }, undefined);
}

/** What the folds of a row see: the row without the columns of joins. A new object. */
export function ownRow(projection: AnyProjection, row: RowValue): Record<string, unknown> {
  const own = { ...row };
  for (const { columns } of projection.joins) for (const name of columns) delete own[name];
  return own;
}

/** The streams that a row names in its `by` columns: aggregate and stream id, one for each join that finds any. */
export function joinedStreams(
  projection: AnyProjection,
  own: RowValue,
): { readonly source: string; readonly streamId: string }[] {
  return projection.joins.flatMap(({ source, by }) => {
    const streamId = own[by];
    return typeof streamId === 'string' ? [{ source, streamId }] : [];
  });
}

/**
 * The whole row: its own columns, and those of the parts that it names.
 * @param partOf the part of a stream, or undefined where there is none
 */
export function joinRow(
  projection: AnyProjection,
  own: RowValue,
  partOf: (source: string, streamId: string) => Part | undefined,
): RowValue {
  if (projection.joins.length === 0) return own;
  const row: Record<string, unknown> = { ...own };
  for (const { source, by, columns, none } of projection.joins) {
    const streamId = own[by];
    const given = (typeof streamId === 'string' ? partOf(source, streamId)?.columns : undefined) ?? none;
    for (const name of columns) row[name] = given[name];
  }
  return row;
}
