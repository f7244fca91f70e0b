/** Reads what clients send. Everything is suspect: each frame ends as one of the known shapes or as an `err`. */
import { parse } from 'secure-json-parse';
import type {
  ClientFrame,
  ClientPosition,
  ScalarValue,
  SocketErrorCode,
  SubFrame,
} from '../protocol/frames.js';
import type { ShardSeq } from '../protocol/positions.js';

/** Why a frame is not read. */
export interface FrameFault {
  readonly code: SocketErrorCode;
  readonly message: string;
  /** The subscription that a `sub` asked for, where that can be told: an `err` with an id says that there is none. */
  readonly id?: string;
}

export type ReadFrame = { readonly frame: ClientFrame } | { readonly fault: FrameFault };

/** Ids of subscriptions: 1–64 UTF-16 code units, no control characters, no unpaired surrogates. */
const MAX_ID_CHARS = 64;
const MAX_EPOCH_CHARS = 64;
/** More shards than a log can have. */
const MAX_POSITIONS = 1_024;
const FIELDS: Readonly<Record<string, readonly string[]>> = {
  sub: ['id', 'view', 'key', 'where', 'sort', 'limit', 'from'],
  unsub: ['id'],
  auth: ['token'],
  ping: [],
};
const utf8 = new TextDecoder('utf-8', { fatal: true });

type Fields = Readonly<Record<string, unknown>>;
class Refused extends Error {
  readonly code: SocketErrorCode;
  constructor(code: SocketErrorCode, message: string) {
    super(message);
    this.code = code;
  }
}
const refuse = (message: string, code: SocketErrorCode = 'bad_frame'): never => {
  throw new Refused(code, message);
};

// eslint-disable-next-line no-control-regex -- control characters are what is looked for
const CONTROL = /[\u0000-\u001f\u007f-\u009f]/;
const isId = (value: unknown): value is string =>
  typeof value === 'string' &&
  value !== '' &&
  value.length <= MAX_ID_CHARS &&
  value.isWellFormed() &&
  !CONTROL.test(value);

/** @param data the bytes of a text frame, within the size limit */
export function readFrame(data: Uint8Array): ReadFrame {
  let value: unknown;
  try {
    // Copies: the bytes may be gone after this turn.
    value = parse(utf8.decode(data), { protoAction: 'error', constructorAction: 'error' });
  } catch {
    return { fault: { code: 'bad_frame', message: 'expected a JSON object in UTF-8, without `__proto__`' } };
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    return { fault: { code: 'bad_frame', message: 'expected a JSON object' } };
  const fields = value as Fields; // an object that JSON.parse made
  try {
    return { frame: shape(fields) };
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    const { id, t } = fields;
    const named = t === 'sub' && isId(id) ? { id } : {};
    return { fault: { code: error.code, message: error.message, ...named } };
  }
}

function shape(fields: Fields): ClientFrame {
  const t = fields['t'];
  if (typeof t !== 'string') return refuse('t: expected one of ' + Object.keys(FIELDS).join(', '));
  const known = Object.hasOwn(FIELDS, t) ? FIELDS[t] : undefined;
  if (!known)
    return refuse(
      `unknown t ${JSON.stringify(t.slice(0, 40))}; expected ${Object.keys(FIELDS).join(', ')}`,
      'unknown_frame',
    );
  const unknown = Object.keys(fields).find((name) => name !== 't' && !known.includes(name));
  if (unknown !== undefined)
    refuse(
      `${t}: unknown field ${JSON.stringify(unknown.slice(0, 40))}; expected ${known.join(', ') || 'none'}`,
    );
  switch (t) {
    case 'sub':
      return sub(fields);
    case 'unsub':
      return { t, id: idOf(fields) };
    case 'auth':
      return { t, token: text(fields, 'token') };
    default:
      return { t: 'ping' };
  }
}

function idOf(fields: Fields): string {
  const id = fields['id'];
  return isId(id)
    ? id
    : refuse(`id: expected a text of 1–${MAX_ID_CHARS} characters without control characters`);
}

function text(fields: Fields, name: string): string {
  const value = fields[name];
  return typeof value === 'string' ? value : refuse(`${name}: expected a text`);
}

function sub(fields: Fields): SubFrame {
  const frame = { t: 'sub' as const, id: idOf(fields), view: text(fields, 'view') };
  return {
    ...frame,
    ...(fields['key'] === undefined ? {} : { key: text(fields, 'key') }),
    ...(fields['where'] === undefined ? {} : { where: whereOf(fields['where']) }),
    ...(fields['sort'] === undefined ? {} : { sort: text(fields, 'sort') }),
    ...(fields['limit'] === undefined ? {} : { limit: whole(fields['limit'], 'limit') }),
    ...(fields['from'] === undefined ? {} : { from: fromOf(fields['from']) }),
  };
}

function whole(value: unknown, name: string): number {
  return Number.isSafeInteger(value) && typeof value === 'number' && value >= 0
    ? value
    : refuse(`${name}: expected a whole number`);
}

const isScalar = (value: unknown): value is ScalarValue =>
  value === null || typeof value === 'string' || typeof value === 'boolean' || typeof value === 'number';

function whereOf(value: unknown): Readonly<Record<string, ScalarValue>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    return refuse('where: expected an object, field → value', 'invalid_filter');
  const entries = Object.entries(value).map(([name, one]): [string, ScalarValue] =>
    isScalar(one)
      ? [name, one]
      : refuse(
          `where: ${JSON.stringify(name.slice(0, 40))}: expected a text, number, boolean or null`,
          'invalid_filter',
        ),
  );
  return Object.fromEntries(entries);
}

function fromOf(value: unknown): string | ClientPosition {
  if (typeof value === 'string') return value;
  const expected = 'from: expected a cursor, or {epoch, pos: [[shard, seq], …]}';
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return refuse(expected);
  const { epoch, pos, ...more } = value as Fields; // an object that JSON.parse made
  if (Object.keys(more).length > 0) refuse(expected);
  if (typeof epoch !== 'string' || epoch.length > MAX_EPOCH_CHARS || !/^[0-9a-z]+$/.test(epoch))
    return refuse('from.epoch: expected a text of 0–9 and a–z');
  if (!Array.isArray(pos) || pos.length > MAX_POSITIONS)
    return refuse('from.pos: expected [[shard, seq], …]');
  const pairs = pos.map((pair: unknown): ShardSeq => {
    if (!Array.isArray(pair) || pair.length !== 2) return refuse('from.pos: expected pairs [shard, seq]');
    return [whole(pair[0], 'from.pos: shard'), whole(pair[1], 'from.pos: seq')];
  });
  if (new Set(pairs.map(([shard]) => shard)).size < pairs.length)
    return refuse('from.pos: expected each shard once');
  return { epoch, pos: pairs };
}
