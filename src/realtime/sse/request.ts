/** What a request to `/realtime/sse` asks for, as the `sub` frame that it stands for; or what is wrong with it. */
import { parse } from 'secure-json-parse';
import type { SubFrame } from '../../protocol/frames.js';
import type { InputFault, ProblemCode } from '../../protocol/problems.js';
import { readFrame, type FrameFault } from '../client-frames.js';

/** Why there is no stream. */
export interface StreamFault {
  readonly code: ProblemCode;
  readonly detail: string;
  readonly errors?: readonly InputFault[];
}

/** The one subscription of a stream. */
const STREAM_ID = 's';

const KNOWN = ['view', 'key', 'where', 'sort', 'limit', 'from'];
/** A cursor has some thousand characters at the most. */
const MAX_QUERY_CHARS = 8 * 1024;

/** Faults of a `sub` that have a problem code of their own. */
const CODES: Partial<Record<FrameFault['code'], ProblemCode>> = {
  unknown_view: 'unknown_view',
  invalid_key: 'invalid_key',
  invalid_cursor: 'invalid_cursor',
  projection_building: 'projection_building',
  forbidden: 'forbidden',
  rule_failed: 'rule_failed',
};

const invalid = (name: string, message: string): StreamFault => ({
  code: 'invalid_parameter',
  detail: `${name}: ${message}`,
  errors: [{ path: `/${name.replaceAll('~', '~0').replaceAll('/', '~1')}`, message }],
});

/** @param fault of a `sub`: its message begins with the name of the field, where it is about one */
export function faultOfSub({ code, message }: FrameFault): StreamFault {
  const known = CODES[code];
  if (known) return { code: known, detail: message };
  const [, name, rest] = /^(view|key|where|sort|limit|from)\b[^:]*: (.*)$/s.exec(message) ?? [];
  if (name === undefined || rest === undefined) return { code: 'invalid_parameter', detail: message };
  return { code: 'invalid_parameter', detail: message, errors: [{ path: `/${name}`, message: rest }] };
}

function parametersOf(query: string): ReadonlyMap<string, string> | StreamFault {
  if (query.length > MAX_QUERY_CHARS)
    return {
      code: 'url_too_long',
      detail: `the query has ${query.length} characters, the limit is ${MAX_QUERY_CHARS}`,
    };
  const found = new Map<string, string>();
  for (const pair of query.split('&')) {
    if (pair === '') continue;
    const equals = pair.indexOf('=');
    const [name, value] = equals < 0 ? [pair, ''] : [pair.slice(0, equals), pair.slice(equals + 1)];
    let decoded: readonly string[];
    try {
      decoded = [name, value].map((text) => decodeURIComponent(text.replaceAll('+', ' ')));
    } catch {
      return { code: 'invalid_url', detail: 'the query has percent-encoding that is not UTF-8' };
    }
    const [key = '', text = ''] = decoded;
    if (!KNOWN.includes(key))
      return invalid(key.slice(0, 40), `unknown parameter; expected ${KNOWN.join(', ')}`);
    if (found.has(key)) return invalid(key, 'expected it once');
    found.set(key, text);
  }
  return found;
}

/** Parameters that are JSON, and not texts. @returns undefined where it is none */
function json(text: string): unknown {
  try {
    return parse(text, { protoAction: 'error', constructorAction: 'error' });
  } catch {
    return undefined;
  }
}

function fieldOf(name: string, text: string): unknown {
  if (name === 'where') return json(text);
  if (name === 'limit') return /^\d{1,9}$/.test(text) ? Number(text) : undefined;
  // A cursor, or the position as a client of the socket keeps it.
  return name === 'from' && text.startsWith('{') ? json(text) : text;
}

const EXPECTED: Readonly<Record<string, string>> = {
  where: 'expected a JSON object, field → value',
  limit: 'expected a whole number',
  from: 'expected a cursor, or {"epoch": …, "pos": [[shard, seq], …]}',
};

/**
 * @param query as it stands in the URL, without the `?`
 * @returns a frame of a known shape, not yet checked against the application
 */
export function readStreamRequest(query: string): { readonly frame: SubFrame } | StreamFault {
  const parameters = parametersOf(query);
  if ('code' in parameters) return parameters;
  if (!parameters.has('view')) return invalid('view', 'expected the name of a view');
  const fields: Record<string, unknown> = { t: 'sub', id: STREAM_ID };
  for (const [name, text] of parameters) {
    const value = fieldOf(name, text);
    if (value === undefined) return invalid(name, EXPECTED[name] ?? 'expected a text');
    fields[name] = value;
  }
  const read = readFrame(Buffer.from(JSON.stringify(fields)));
  if ('fault' in read) return faultOfSub(read.fault);
  // It was made as a `sub` above.
  return read.frame.t === 'sub' ? { frame: read.frame } : invalid('view', 'expected the name of a view');
}
