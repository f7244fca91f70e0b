/**
 * What a projection's table was made for, kept beside it. A definition that changed without a new version would fold new
 * rows among old ones of another shape; comparing the two finds it at start.
 */
import { createHash } from 'node:crypto';
import type { Field, JsonSchema } from '../domain/fields.js';
import type { ProjectionSource } from '../domain/projection.js';
import { hasRows } from '../domain/sources.js';
import type { AnyReadModel, AnyTables } from '../domain/tables.js';
import { TidemarkError } from '../platform/errors.js';

type Json = string | number | boolean | null | readonly Json[] | { readonly [name: string]: Json };

/** What a schema says of its data; annotations and zod's own patterns may change with a release of zod. */
const SCHEMA_WORDS: ReadonlySet<string> = new Set(
  'type,properties,required,additionalProperties,items,prefixItems,anyOf,oneOf,allOf,enum,const,format,minLength,maxLength,minimum,maximum,exclusiveMinimum,exclusiveMaximum,multipleOf,minItems,maxItems,propertyNames'.split(
    ',',
  ),
);

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

function sorted(value: unknown): Json {
  if (Array.isArray(value)) return value.map(sorted);
  if (!isObject(value)) {
    return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean'
      ? value
      : null;
  }
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(entries.map(([name, inner]) => [name, sorted(inner)]));
}

function structureOf(schema: unknown): Json {
  if (Array.isArray(schema)) return schema.map(structureOf);
  if (!isObject(schema)) return sorted(schema);
  const kept: Record<string, Json> = {};
  for (const [word, value] of Object.entries(schema).sort(([a], [b]) => (a < b ? -1 : 1))) {
    if (!SCHEMA_WORDS.has(word)) continue;
    if (word === 'properties' && isObject(value)) {
      const properties = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
      kept[word] = Object.fromEntries(properties.map(([name, inner]) => [name, structureOf(inner)]));
    } else if (word === 'required' && Array.isArray(value)) kept[word] = value.map(String).sort();
    else kept[word] = word === 'enum' || word === 'const' ? sorted(value) : structureOf(value);
  }
  return kept;
}

const fieldSchema = (schema: JsonSchema): Json => structureOf(schema);

function rowsFrom(source: ProjectionSource): string {
  if (!hasRows(source)) return 'joined';
  if (source.moving) return 'moving';
  return source.keys === undefined ? 'by stream' : 'by keys';
}

const fieldsIn = (fields: readonly Field[]): Json =>
  Object.fromEntries(
    fields.map(({ name, kind, nullable, optional, schema }) => [
      name,
      { kind, nullable, optional, schema: fieldSchema(schema) },
    ]),
  );

/** Tables with their columns and keys, and sources. */
const handledDefinition = ({ tables, sources }: AnyTables): Json =>
  sorted({
    tables: Object.fromEntries(
      tables.map(({ name, fields, primaryKey }) => [name, { primaryKey, fields: fieldsIn(fields) }]),
    ),
    sources: Object.fromEntries(sources.map(({ aggregate }) => [aggregate.name, 'handled'])),
  });

/** Key, fields, channels, sources and joins: what must not change within a version. Indexes may, and are left out. */
export function definitionOf(projection: AnyReadModel): Json {
  if (projection.kind === 'tables') return handledDefinition(projection);
  return sorted({
    key: projection.key,
    fields: fieldsIn(projection.fields),
    channels: projection.channels.map((tuple) => tuple.toSorted().join(' + ')).sort(),
    sources: Object.fromEntries(
      projection.sources.map((source) => [source.aggregate.name, rowsFrom(source)]),
    ),
    // Left out where there are none, so that what was defined before there were joins is what it was.
    ...(projection.joins.length > 0 && {
      joins: Object.fromEntries(projection.joins.map(({ source, by, none }) => [`${source} by ${by}`, none])),
    }),
  });
}

/**
 * Names of the tables of a version (and of its views for people) by its stored definition, so that those of versions which
 * no code knows any more can be found.
 */
export const tableNamesIn = (name: string, definition: unknown): readonly string[] =>
  isObject(definition) && isObject(definition['tables']) ? Object.keys(definition['tables']) : [name];

export const fingerprintOf = (definition: Json): string =>
  createHash('sha256').update(JSON.stringify(definition)).digest('hex');

const show = (value: Json | undefined): string => (value === undefined ? 'nothing' : JSON.stringify(value));

/** What differs, a line each: `fields.status.schema.enum: ["a"] → ["a","b"]`. */
export function differences(before: unknown, after: unknown, path = ''): string[] {
  const [left, right] = [sorted(before), sorted(after)];
  if (JSON.stringify(left) === JSON.stringify(right)) return [];
  if (!isObject(left) || !isObject(right)) return [`${path}: ${show(left)} → ${show(right)}`];
  const names = [...new Set([...Object.keys(left), ...Object.keys(right)])].sort();
  return names.flatMap((name) => {
    const at = path === '' ? name : `${path}.${name}`;
    if (!Object.hasOwn(right, name)) return [`${at}: removed (was ${show(left[name])})`];
    if (!Object.hasOwn(left, name)) return [`${at}: added (${show(right[name])})`];
    return differences(left[name], right[name], at);
  });
}

/**
 * @param stored as it is kept beside the version's table: the fingerprint, and the definition as JSON text
 * @throws TidemarkError `projection_changed`, with what differs
 */
export function requireSame(
  projection: AnyReadModel,
  stored: { readonly fingerprint: string; readonly definition: string },
): void {
  const definition = definitionOf(projection);
  if (stored.fingerprint === fingerprintOf(definition)) return;
  const { name, version } = projection;
  const changed = differences(JSON.parse(stored.definition), definition);
  throw new TidemarkError(
    'projection_changed',
    `projection ${name} v${version} is not what its table was made for; raise its version. What differs (stored → code):\n  ${changed.join('\n  ')}`,
    { extra: { projection: name, version, differences: changed } },
  );
}
