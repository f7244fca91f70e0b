/** What a live view asks for, and what of it a client can tell by itself: which rows belong to it, and in which order. */
import type { AnyRow } from '../app-types.js';
import type { ScalarValue } from '../../protocol/frames.js';

/** As it goes out in a `sub`. */
export interface LiveRequest {
  readonly view: string;
  readonly key?: string;
  readonly where?: Readonly<Record<string, ScalarValue>>;
  readonly sort?: string;
  readonly limit?: number;
}

/** What a caller asks for, types erased. */
export interface Wanted {
  readonly key?: string | undefined;
  readonly where?: Readonly<Record<string, ScalarValue | undefined>> | undefined;
  readonly sort?: string | readonly string[] | undefined;
  readonly limit?: number | undefined;
}

/** Equal requests are equal texts, whatever the order of their fields. */
export function requestOf(
  view: string,
  wanted: Wanted,
): { readonly request: LiveRequest; readonly id: string } {
  const { key, sort, limit } = wanted;
  const where = Object.entries(wanted.where ?? {})
    .flatMap(([name, value]) => (value === undefined ? [] : [[name, value] as const]))
    .sort(([a], [b]) => (a < b ? -1 : 1));
  const request = {
    view,
    ...(key === undefined ? {} : { key }),
    ...(where.length === 0 ? {} : { where: Object.fromEntries(where) }),
    ...(sort === undefined ? {} : { sort: typeof sort === 'string' ? sort : sort.join(',') }),
    ...(limit === undefined ? {} : { limit }),
  };
  return { request, id: JSON.stringify(request) };
}

/** "The newest 50": rows come and go by their place in an order, too. */
export const isWindow = ({ sort, limit }: LiveRequest): boolean => sort !== undefined || limit !== undefined;

/** What the server does where a window has an order and no limit. */
const DEFAULT_LIMIT = 50;
export const limitOf = (request: LiveRequest): number =>
  isWindow(request) ? (request.limit ?? DEFAULT_LIMIT) : Infinity;

export function belongs({ key, where = {} }: LiveRequest, rowKey: string, row: AnyRow): boolean {
  if (key !== undefined && key !== rowKey) return false;
  return Object.entries(where).every(([name, value]) => (row[name] ?? null) === value);
}

/**
 * By UTF-8 bytes, as the server orders texts. JavaScript compares UTF-16 units, which differs where one of them is half
 * of a pair: those stand for code points above all others.
 */
function compareTexts(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let at = 0; at < length; at++) {
    const x = a.charCodeAt(at);
    const y = b.charCodeAt(at);
    if (x === y) continue;
    const bothHigh = x >= 0xd800 && y >= 0xd800;
    return bothHigh ? unit(x) - unit(y) : x - y;
  }
  return a.length - b.length;
}
const unit = (code: number): number => (code >= 0xe000 ? code - 0x800 : code + 0x2000);

/** Null (and absent) is greater than every value, as in Postgres. */
function compareValues(a: unknown, b: unknown): number {
  const x = a ?? null;
  const y = b ?? null;
  if (x === null || y === null) return Number(x === null) - Number(y === null);
  if (typeof x === 'string' && typeof y === 'string') return compareTexts(x, y);
  return Number(x) - Number(y);
}

export interface Placed {
  readonly key: string;
  readonly row: AnyRow;
}

/** The order of a request’s rows: its sort, ties by key; the key where it has none. */
export function orderOf({ sort }: LiveRequest): (a: Placed, b: Placed) => number {
  const fields = (sort === undefined ? [] : sort.split(',')).map((text) =>
    text.startsWith('-') ? { name: text.slice(1), sign: -1 } : { name: text, sign: 1 },
  );
  return (a, b) => {
    for (const { name, sign } of fields) {
      const order = compareValues(a.row[name], b.row[name]);
      if (order !== 0) return sign * order;
    }
    return compareTexts(a.key, b.key);
  };
}
