/** The headers of a command: preconditions, idempotency key, trace. What is there must be right; nothing is guessed. */
import { TidemarkError, type Fault } from '../platform/errors.js';
import { isTraceparent } from '../platform/traceparent.js';

export interface CommandHeaders {
  readonly idempotencyKey?: string;
  readonly ifMatch?: number | '*';
  readonly ifNoneMatch?: boolean;
  readonly traceparent?: string;
}

type RawHeaders = Readonly<Record<string, string | readonly string[] | undefined>>;

/** Printable ASCII, the space included; HTTP itself trims the ends. */
const IDEMPOTENCY_KEY = /^[\x20-\x7e]{1,200}$/;
const VERSION_TAG = /^"s(0|[1-9]\d{0,15})"$/;

/** The strong ETag of a stream’s version. */
export const versionTag = (version: number): string => `"s${version}"`;

function ifMatchOf(text: string): number | '*' | undefined {
  if (text === '*') return '*';
  const version = Number(VERSION_TAG.exec(text)?.[1] ?? NaN);
  return Number.isSafeInteger(version) ? version : undefined;
}

/**
 * `If-Match: *` is RFC 9110’s: the stream has an event. A `traceparent` that is not valid is as if it were not there,
 * as W3C wants it; every other fault is told.
 * @throws TidemarkError `invalid_header`
 */
export function parseCommandHeaders(headers: RawHeaders): CommandHeaders {
  const faults: Fault[] = [];
  const parsed: { -readonly [K in keyof CommandHeaders]: CommandHeaders[K] } = {};
  const read = (name: string, expected: string, take: (text: string) => boolean): void => {
    const value = headers[name];
    if (value === undefined) return;
    const text = typeof value === 'string' ? value : value.join(', ');
    if (!take(text)) faults.push({ path: `/${name}`, message: `expected ${expected}` });
  };
  read('idempotency-key', '1–200 printable ASCII characters', (text) => {
    parsed.idempotencyKey = text;
    return IDEMPOTENCY_KEY.test(text);
  });
  read('if-match', 'one version as `"s<version>"`, or `*`', (text) => {
    const version = ifMatchOf(text);
    if (version !== undefined) parsed.ifMatch = version;
    return version !== undefined;
  });
  read('if-none-match', '`*`', (text) => (parsed.ifNoneMatch = text === '*'));
  if (headers['if-match'] !== undefined && headers['if-none-match'] !== undefined) {
    faults.push({ path: '/if-none-match', message: 'expected not to stand beside If-Match' });
  }
  if (faults.length > 0) throw new TidemarkError('invalid_header', 'a header is not valid', { faults });
  const { traceparent } = headers;
  if (typeof traceparent === 'string' && isTraceparent(traceparent)) parsed.traceparent = traceparent;
  return parsed;
}

/** @throws TidemarkError `invalid_header` when one of these stands there twice, which Node joins or drops in silence */
export function checkSingle(rawHeaders: readonly string[], names: readonly string[]): void {
  const seen = new Set<string>();
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = rawHeaders[at]?.toLowerCase() ?? '';
    if (!names.includes(name)) continue;
    if (seen.has(name)) {
      const faults = [{ path: `/${name}`, message: 'expected once' }];
      throw new TidemarkError('invalid_header', 'a header stands there twice', { faults });
    }
    seen.add(name);
  }
}
