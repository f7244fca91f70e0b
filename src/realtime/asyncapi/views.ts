/** The channels of a view: all of it, one row, and each filter that it declares; their frames with the schema of its rows. */
import { jsonSchemaOf, type Field } from '../../domain/fields.js';
import type { AnyProjection } from '../../domain/projection.js';
import {
  always,
  EPOCH,
  listOf,
  objectOf,
  POSITIONS,
  SUBSCRIPTION_ID,
  text,
  tupleOf,
  whole,
  type Frame,
  type Schema,
} from './frames.js';

const isRecord = (value: unknown): value is Schema =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const DATA_KEYWORDS = ['default', 'const', 'enum', 'examples', 'required'];

/** A schema of 2020-12, without `$ref`, as draft 07 says it: only tuples are told in another way. */
function draft07(schema: Schema): Schema {
  const convert = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(convert);
    return isRecord(value) ? draft07(value) : value;
  };
  const { prefixItems, items, ...rest } = schema;
  const entries = Object.entries(rest).map(([name, value]) => {
    if (name !== 'properties' || !isRecord(value))
      return [name, DATA_KEYWORDS.includes(name) ? value : convert(value)];
    return [name, Object.fromEntries(Object.entries(value).map(([field, one]) => [field, convert(one)]))];
  });
  const tuple = prefixItems === undefined ? {} : { items: convert(prefixItems) };
  const others =
    items === undefined ? {} : { [prefixItems === undefined ? 'items' : 'additionalItems']: convert(items) };
  return { ...Object.fromEntries(entries), ...tuple, ...others };
}

/** What a channel of a view is asked for with. */
export interface ViewChannel {
  /** Its name in the document. */
  readonly name: string;
  readonly address: string;
  readonly description: string;
  /** Name → where its value stands in the `sub` frame, and what it may be. */
  readonly parameters: Readonly<
    Record<string, { readonly location: string; readonly field: Field | undefined }>
  >;
  /** What is asked for: the fields of the `sub` frame beside `view` and `from`; optional ones end in `?`. */
  readonly asked: Readonly<Record<string, Schema>>;
  readonly sub: Frame;
}

/** Sort and limit make a window of it. */
const WINDOW: Readonly<Record<string, Schema>> = {
  'sort?': text(
    'Fields, separated by commas, each with - before it to fall: with `limit` a window, “the newest 50”.',
  ),
  'limit?': { type: 'integer', minimum: 1, maximum: 1_000, description: 'Rows of the window.' },
};
const FROM: Schema = {
  description: 'Where to go on: a `Tidemark-Cursor` of the same, or the position as the client kept it.',
  oneOf: [{ type: 'string' }, objectOf({ epoch: EPOCH, pos: POSITIONS })],
};

function subOf(view: string, what: string, asked: Readonly<Record<string, Schema>>): Frame {
  return {
    summary: `Subscribes to ${what}.`,
    payload: objectOf({ t: always('sub'), id: SUBSCRIPTION_ID, view: always(view), ...asked, 'from?': FROM }),
  };
}

/** Schema of the rows, for the document's components. */
export const rowSchema = (projection: AnyProjection): Schema =>
  draft07(jsonSchemaOf(`projection ${projection.name}, row`, projection.row, 'output'));

function filterChannel(projection: AnyProjection, fields: readonly string[]): ViewChannel {
  const { name } = projection;
  const what = `the rows of ${name} of one ${fields.join(' and ')}`;
  const found = fields.map((field) => [field, projection.fields.find((one) => one.name === field)] as const);
  const where = objectOf(
    Object.fromEntries(found.map(([field, one]) => [field, draft07(one?.schema ?? {})])),
  );
  return {
    name: [name, 'by', ...fields].join('.'),
    address: [name, 'by', ...fields.flatMap((field) => [field, `{${field}}`])].join('/'),
    description: `Channel of ${what}.`,
    parameters: Object.fromEntries(
      found.map(([field, one]) => [field, { location: `$message.payload#/where/${field}`, field: one }]),
    ),
    asked: { where, ...WINDOW },
    sub: subOf(name, what, { where, ...WINDOW }),
  };
}

export function channelsOf(projection: AnyProjection): readonly ViewChannel[] {
  const { name } = projection;
  const key = text(`Its ${projection.key}.`);
  return [
    {
      name,
      address: name,
      description: `Channel of all rows of ${name}.`,
      parameters: {},
      asked: WINDOW,
      sub: subOf(name, `all rows of ${name}`, WINDOW),
    },
    {
      name: `${name}.row`,
      address: `${name}/row/{key}`,
      description: `Channel of one row of ${name}, by its ${projection.key}.`,
      parameters: { key: { location: '$message.payload#/key', field: undefined } },
      asked: { key },
      sub: subOf(name, `one row of ${name}`, { key }),
    },
    ...projection.channels.map((fields) => filterChannel(projection, fields)),
  ];
}

const REVISION = whole('Revision of the row: the seq of its last change; only rises.');

/**
 * Frames with rows of a view.
 * @param row reference to the schema of its rows
 */
export function rowFrames(view: string, row: Schema): Readonly<Record<'snap' | 'chg' | 'missed', Frame>> {
  const key = text('Key of the row.');
  const changed = tupleOf(key, REVISION, { oneOf: [row, { type: 'null' }] });
  const parts = listOf(
    tupleOf(
      whole('shard'),
      whole('After this seq …'),
      whole('… comes everything up to this one.'),
      listOf(changed, 'null: there is no such row (any more), or it left the filter or window.'),
    ),
  );
  const at = whole('Time of the oldest change in it, ms since 1970.');
  return {
    snap: {
      summary: `Rows of ${view} as they were at one moment: a part of a snapshot.`,
      payload: objectOf({
        t: always('snap'),
        id: SUBSCRIPTION_ID,
        rows: listOf(tupleOf(key, REVISION, row)),
        more: { type: 'boolean', description: 'Another part follows.' },
      }),
    },
    chg: {
      summary: `Changes of rows of ${view}.`,
      payload: objectOf({ t: always('chg'), ch: whole('Number of the channel, from `live`.'), at, d: parts }),
    },
    missed: {
      summary: `Changes of rows of ${view} that came before the subscription was live: since the snapshot, or since \`from\`.`,
      payload: objectOf({ t: always('chg'), id: SUBSCRIPTION_ID, at, d: parts }),
    },
  };
}
