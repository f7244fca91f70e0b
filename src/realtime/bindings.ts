/** What a `sub` asks for, checked against the definition: the view, and the channel of it that serves the subscription. */
import type { AnyApp } from '../domain/app.js';
import type { Field } from '../domain/fields.js';
import { idFault } from '../domain/identifiers.js';
import type { AnyProjection } from '../domain/projection.js';
import { shardOf } from '../platform/murmur2.js';
import type { Signer } from '../platform/signing.js';
import type { ScalarValue, SubFrame } from '../protocol/frames.js';
import {
  canonicalBinding,
  changeLogName,
  type CursorBinding,
  type LogPosition,
  type ShardSeq,
} from '../protocol/positions.js';
import { tupleKey } from './change.js';
import type { FrameFault } from './client-frames.js';

/** Which changes of a log a channel carries. */
export type ChannelFilter =
  | { readonly kind: 'all' }
  | { readonly kind: 'key'; readonly key: string; readonly shard: number }
  | {
      readonly kind: 'tuple';
      /** Index into the projection’s channels. */
      readonly tuple: number;
      readonly where: Readonly<Record<string, ScalarValue>>;
      /** The values as `tupleKey` gives them. */
      readonly values: string;
    };

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
}

export type Bound = { readonly wanted: Wanted } | { readonly fault: FrameFault };

const fault = (
  frame: SubFrame,
  code: FrameFault['code'],
  message: string,
): { readonly fault: FrameFault } => ({
  fault: { code, message, id: frame.id },
});

/** Checks a `sub` against the application; what it cannot have is told with what it could. */
export function bindSubscription(app: AnyApp, signer: Signer, frame: SubFrame): Bound {
  const projection = app.views.find(({ name }) => name === frame.view);
  if (!projection)
    return fault(
      frame,
      'unknown_view',
      `there is no view ${JSON.stringify(frame.view.slice(0, 40))}; there is ${app.views.map(({ name }) => name).join(', ')}`,
    );
  if (frame.sort !== undefined || frame.limit !== undefined)
    return fault(frame, 'windows_off', '`sort` and `limit` are not served by this server');
  if (frame.key !== undefined && frame.where !== undefined)
    return fault(frame, 'invalid_filter', 'expected key or where, not both');
  const keyFault = frame.key === undefined ? undefined : idFault(frame.key);
  if (keyFault !== undefined) return fault(frame, 'invalid_key', `key: ${keyFault}`);
  const filter = filterOf(projection, frame, app.shards);
  if (typeof filter === 'string') return fault(frame, 'invalid_filter', filter);
  if (frame.from === undefined) return { wanted: { projection, filter, from: undefined } };
  const from =
    typeof frame.from === 'string'
      ? fromCursor(signer, frame.from, projection, frame)
      : { ...frame.from, foreign: false, opaque: false };
  if (!from) return fault(frame, 'invalid_cursor', 'the cursor was not made for this very subscription');
  const beyond = from.foreign ? undefined : from.pos.find(([shard]) => shard >= app.shards);
  if (beyond) return fault(frame, 'invalid_cursor', `from: shard ${beyond[0]}: expected 0–${app.shards - 1}`);
  return { wanted: { projection, filter, from } };
}

/** The filter, or what is wrong with it. */
function filterOf(projection: AnyProjection, frame: SubFrame, shards: number): ChannelFilter | string {
  if (frame.key !== undefined) return { kind: 'key', key: frame.key, shard: shardOf(frame.key, shards) };
  const { where } = frame;
  if (where === undefined) return { kind: 'all' };
  const names = Object.keys(where);
  const tuple = projection.channels.findIndex(
    (fields) => fields.length === names.length && fields.every((name) => Object.hasOwn(where, name)),
  );
  const fields = projection.channels[tuple];
  if (!fields) {
    const declared = projection.channels.map((one) => `{${one.join(', ')}}`).join(' or ');
    return `where: expected exactly ${declared || 'nothing: the view has no channels'}`;
  }
  const wrong = fields
    .map((name) => valueFault(projection, name, where[name]))
    .find((one) => one !== undefined);
  return wrong ?? { kind: 'tuple', tuple, where, values: tupleKey(fields.map((name) => where[name])) };
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

function fromCursor(
  signer: Signer,
  cursor: string,
  projection: AnyProjection,
  frame: SubFrame,
): From | undefined {
  const payload = signer.verify(cursor);
  if (typeof payload !== 'object' || payload === null) return undefined;
  // Signed by us: a payload of the kind has the shape of `CursorPayload`.
  const { kind, log, bind, epoch, pos } = payload as {
    kind?: unknown;
    log: string;
    bind: CursorBinding;
    epoch: string;
    pos: readonly ShardSeq[];
  };
  if (kind !== 'cursor') return undefined;
  const asked: CursorBinding = {
    view: frame.view,
    ...(frame.key === undefined ? {} : { key: frame.key }),
    ...(frame.where === undefined ? {} : { where: frame.where }),
  };
  if (canonicalBinding(bind) !== canonicalBinding(asked)) return undefined;
  const foreign = log !== changeLogName(projection.name, projection.version);
  return { epoch, pos, foreign, opaque: true };
}
