/** What a `sub` asks for, checked against the definition: the view, and the channel of it that serves the subscription. */
import type { AnyApp } from '../domain/app.js';
import type { Field } from '../domain/fields.js';
import { idFault } from '../domain/identifiers.js';
import type { AnyProjection } from '../domain/projection.js';
import type { RowScope } from '../domain/rights.js';
import { shardOf } from '../platform/murmur2.js';
import type { Signer } from '../platform/signing.js';
import { sortText } from '../projections/ordering.js';
import type { ClientPosition, ScalarValue, SubFrame } from '../protocol/frames.js';
import {
  canonicalBinding,
  changeLogName,
  type CursorBinding,
  type LogPosition,
  type ShardSeq,
} from '../protocol/positions.js';
import { scopeHash } from '../rights/scopes.js';
import { tupleKey } from './change.js';
import type { FrameFault } from './client-frames.js';
import { windowOf, type WindowSpec } from './windows/request.js';

/** Which changes of a log a channel carries. */
export type ChannelFilter =
  | { readonly kind: 'all' }
  | {
      readonly kind: 'key';
      readonly key: string;
      readonly shard: number;
      /** The row is there only while its fields have these values, as only then it is the principal’s. */
      readonly within?: Within;
    }
  | {
      readonly kind: 'tuple';
      /** Index into the projection’s channels. */
      readonly tuple: number;
      readonly where: Readonly<Record<string, ScalarValue>>;
      /** The values as `tupleKey` gives them. */
      readonly values: string;
    }
  | {
      /** The first rows of another filter, in an order. */
      readonly kind: 'window';
      readonly of: WindowedFilter;
      readonly spec: WindowSpec;
      /** The same window gives the same text. */
      readonly id: string;
    };

/** A filter that has more than one row. */
export type WindowedFilter = Extract<ChannelFilter, { kind: 'all' | 'tuple' }>;

/** Channel fields and the values that they must have. */
export interface Within {
  readonly where: Readonly<Record<string, ScalarValue>>;
  readonly fields: readonly string[];
  /** The values as `tupleKey` gives them; undefined: the key alone says that the row is never the principal’s. */
  readonly values: string | undefined;
}

/** Where a subscription wants to go on. */
export interface From extends LogPosition {
  /** Given out by another version of the view. */
  readonly foreign: boolean;
  /** Came as a cursor, which the client cannot read: for it, every shard stands at 0 until it is live. */
  readonly opaque: boolean;
}

export interface Wanted {
  readonly projection: AnyProjection;
  readonly filter: ChannelFilter;
  readonly from: From | undefined;
  /**
   * Stands at the end of the epochs that the client is given: its position is good under these rights only. Empty where
   * all rows are the principal’s.
   */
  readonly mark: string;
}

export type Bound = { readonly wanted: Wanted } | { readonly fault: FrameFault };

const fault = (
  frame: SubFrame,
  code: FrameFault['code'],
  message: string,
): { readonly fault: FrameFault } => ({
  fault: { code, message, id: frame.id },
});

/**
 * Checks a `sub` against the application and the principal's rights; what it cannot have is told with what it could.
 * @param scopeOf which rows of a view are the principal's
 * @throws whatever `scopeOf` throws
 */
export function bindSubscription(
  app: AnyApp,
  signer: Signer,
  frame: SubFrame,
  scopeOf: (projection: AnyProjection) => RowScope,
): Bound {
  const projection = app.views.find(({ name }) => name === frame.view);
  if (!projection)
    return fault(
      frame,
      'unknown_view',
      `there is no view ${JSON.stringify(frame.view.slice(0, 40))}; there is ${app.views.map(({ name }) => name).join(', ')}`,
    );
  if (frame.key !== undefined && frame.where !== undefined)
    return fault(frame, 'invalid_filter', 'expected key or where, not both');
  const keyFault = frame.key === undefined ? undefined : idFault(frame.key);
  if (keyFault !== undefined) return fault(frame, 'invalid_key', `key: ${keyFault}`);
  const scope = scopeOf(projection);
  const rows = filterOf(projection, frame, app.shards, scope);
  if ('code' in rows) return fault(frame, rows.code, rows.message);
  const filter = windowed(projection, frame, rows);
  if ('code' in filter) return fault(frame, filter.code, filter.message);
  const mark = scopeHash(scope) ?? '';
  if (frame.from === undefined) return { wanted: { projection, filter, from: undefined, mark } };
  const from =
    typeof frame.from === 'string'
      ? fromCursor(signer, frame.from, projection, { frame, filter, mark })
      : fromPosition(frame.from, mark);
  if (!from) return fault(frame, 'invalid_cursor', 'the cursor was not made for this very subscription');
  const beyond = from.foreign ? undefined : from.pos.find(([shard]) => shard >= app.shards);
  if (beyond) return fault(frame, 'invalid_cursor', `from: shard ${beyond[0]}: expected 0–${app.shards - 1}`);
  return { wanted: { projection, filter, from, mark } };
}

type Refused = Pick<FrameFault, 'code' | 'message'>;
const refused = (code: FrameFault['code'], message: string): Refused => ({ code, message });

/** The filter, the principal's rows only, or what is wrong with it. */
function filterOf(
  projection: AnyProjection,
  frame: SubFrame,
  shards: number,
  scope: RowScope,
): ChannelFilter | Refused {
  if (scope === false) return refused('forbidden', `no row of ${projection.name} is yours`);
  const rights = scope === true ? {} : scope;
  if (frame.key !== undefined) return keyFilter(projection, frame.key, shardOf(frame.key, shards), rights);
  const asked = frame.where ?? {};
  for (const [name, value] of Object.entries(asked)) {
    if (Object.hasOwn(rights, name) && rights[name] !== value)
      return refused('forbidden', `where.${name}: other rows than these are yours`);
  }
  const where = { ...rights, ...asked };
  if (Object.keys(where).length === 0 && frame.where === undefined) return { kind: 'all' };
  const tuple = declared(projection, where);
  const fields = projection.channels[tuple];
  if (!fields) return undeclared(projection, frame.where, rights);
  // Those of the rights were looked at where they came from.
  const wrong = fields
    .filter((name) => !Object.hasOwn(rights, name))
    .map((name) => valueFault(projection, name, where[name]))
    .find((one) => one !== undefined);
  if (wrong !== undefined) return refused('invalid_filter', wrong);
  return { kind: 'tuple', tuple, where, values: tupleKey(fields.map((name) => where[name])) };
}

/** The first rows of the filter, where they are asked for; or what is wrong with that. */
function windowed(
  projection: AnyProjection,
  frame: SubFrame,
  filter: ChannelFilter,
): ChannelFilter | Refused {
  const still = filter.kind === 'tuple' ? Object.keys(filter.where) : [];
  const spec = windowOf(projection, frame, still);
  if (spec === undefined || filter.kind === 'window') return filter;
  if (typeof spec === 'string') return refused('invalid_window', spec);
  if (filter.kind === 'key')
    return refused('invalid_window', 'a key has one row: expected sort and limit without it');
  const of = filter.kind === 'all' ? [] : [filter.tuple, filter.values];
  return { kind: 'window', of: filter, spec, id: JSON.stringify([...of, sortText(spec.sort), spec.limit]) };
}

/** Index of the tuple of exactly these fields; -1 where there is none. */
function declared(projection: AnyProjection, where: Readonly<Record<string, unknown>>): number {
  const names = Object.keys(where);
  return projection.channels.findIndex(
    (fields) => fields.length === names.length && fields.every((name) => Object.hasOwn(where, name)),
  );
}

const shown = (tuples: readonly (readonly string[])[]): string =>
  tuples.map((one) => `{${one.join(', ')}}`).join(' or ');

/** What there could be asked for instead; of a view whose rows are not all the principal's, only what its rights leave. */
function undeclared(
  projection: AnyProjection,
  asked: SubFrame['where'],
  rights: Readonly<Record<string, ScalarValue>>,
): Refused {
  const names = Object.keys(rights);
  if (names.length === 0 || (asked && declared(projection, asked) < 0 && Object.keys(asked).length > 0)) {
    const all = shown(projection.channels);
    return refused('invalid_filter', `where: expected exactly ${all || 'nothing: the view has no channels'}`);
  }
  const left = projection.channels.filter((fields) => names.every((name) => fields.includes(name)));
  const can = left.length > 0 ? `expected where of ${shown(left)}` : 'the view has no channel for them';
  return refused('forbidden', `only rows of your ${names.join(', ')} are yours: ${can}`);
}

/** One row, which shows itself only while it is the principal's: what it was before is known of channel fields alone. */
function keyFilter(
  projection: AnyProjection,
  key: string,
  shard: number,
  rights: Readonly<Record<string, ScalarValue>>,
): ChannelFilter | Refused {
  const fields = Object.keys(rights)
    .filter((name) => name !== projection.key)
    .sort();
  const watched = new Set(projection.channels.flat());
  if (!fields.every((name) => watched.has(name)))
    return refused(
      'forbidden',
      `only rows of your ${fields.join(', ')} are yours: the view has no channel for them`,
    );
  // The field that is the key says by itself whether the row can be theirs: another's is as one that is not there.
  if (Object.hasOwn(rights, projection.key) && rights[projection.key] !== key)
    return { kind: 'key', key, shard, within: { where: rights, fields: [], values: undefined } };
  if (fields.length === 0) return { kind: 'key', key, shard };
  const values = tupleKey(fields.map((name) => rights[name]));
  return { kind: 'key', key, shard, within: { where: rights, fields, values } };
}

function valueFault(
  projection: AnyProjection,
  name: string,
  value: ScalarValue | undefined,
): string | undefined {
  const field = projection.fields.find((one) => one.name === name);
  if (!field || fits(field, value)) return undefined;
  return `where.${name}: expected ${field.kind === 'text' ? 'a text' : `a value of type ${field.kind}`}${field.nullable ? ' or null' : ''}`;
}

function fits(field: Field, value: ScalarValue | undefined): boolean {
  if (value === null) return field.nullable;
  switch (field.kind) {
    case 'text':
      // Postgres holds neither NUL nor half a surrogate pair, so no row can have such a value.
      return typeof value === 'string' && value.isWellFormed() && !value.includes('\0');
    case 'integer':
      return Number.isSafeInteger(value);
    case 'number':
      return typeof value === 'number' && Number.isFinite(value);
    case 'boolean':
      return typeof value === 'boolean';
    default:
      return false;
  }
}

/** A position that was given out under other rights is none of this subscription, whatever its epoch. */
function fromPosition({ epoch, pos }: ClientPosition, mark: string): From {
  const foreign = !epoch.endsWith(mark);
  return { epoch: foreign ? epoch : epoch.slice(0, epoch.length - mark.length), pos, foreign, opaque: false };
}

function fromCursor(
  signer: Signer,
  cursor: string,
  projection: AnyProjection,
  {
    frame,
    filter,
    mark,
  }: { readonly frame: SubFrame; readonly filter: ChannelFilter; readonly mark: string },
): From | undefined {
  const payload = signer.verify(cursor);
  if (typeof payload !== 'object' || payload === null) return undefined;
  // Signed by us: a payload of the kind has the shape of `CursorPayload`.
  const { kind, log, bind, epoch, pos, window } = payload as {
    kind?: unknown;
    log: string;
    bind: CursorBinding;
    epoch: string;
    pos: readonly ShardSeq[];
    window?: string;
  };
  if (kind !== 'cursor') return undefined;
  // The rows of another order or size are not those of the window.
  if (filter.kind === 'window' && window !== filter.spec.name) return undefined;
  const asked: CursorBinding = {
    view: frame.view,
    ...(frame.key === undefined ? {} : { key: frame.key }),
    ...(frame.where === undefined ? {} : { where: frame.where }),
    ...(mark === '' ? {} : { scope: mark }),
  };
  if (canonicalBinding(bind) !== canonicalBinding(asked)) return undefined;
  const foreign = log !== changeLogName(projection.name, projection.version);
  return { epoch, pos, foreign, opaque: true };
}
