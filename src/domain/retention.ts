/** How long and how much of a change log is kept, in the units that people write. */
import { DefinitionError } from './errors.js';

/** Seconds, minutes, hours, days. */
export type Duration = `${number}${'s' | 'm' | 'h' | 'd'}`;
/** Powers of 1,024 bytes. */
export type Size = `${number}${'KiB' | 'MiB' | 'GiB' | 'TiB'}`;

export interface RetentionOptions {
  /** Changes are kept for at least so long, unless `maxSize` is reached; `'7d'` unless told otherwise. `false`: no bound. */
  readonly maxAge?: Duration | false;
  /** Disk that the log may take, its indexes included; `'1GiB'` unless told otherwise. `false`: no bound. */
  readonly maxSize?: Size | false;
}

/** `null`: no bound. */
export interface Retention {
  readonly maxAgeMs: number | null;
  readonly maxBytes: number | null;
}

/**
 * A week covers a process that was down over a holiday, and whoever looks at what happened; a gigabyte is some millions of
 * changes, hundreds of times what a subscriber is given as a replay before it gets a snapshot instead.
 */
const DEFAULTS = { maxAge: '7d', maxSize: '1GiB' } as const;

const UNITS: Readonly<Record<string, number>> = {
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  KiB: 1_024,
  MiB: 1_024 ** 2,
  GiB: 1_024 ** 3,
  TiB: 1_024 ** 4,
};

function quantity(where: string, value: unknown, units: string, example: string): number | null {
  if (value === false) return null;
  const match = new RegExp(`^(\\d{1,6}(?:\\.\\d{1,3})?)(${units})$`).exec(
    typeof value === 'string' ? value : '',
  );
  const amount = Math.floor(Number(match?.[1]) * (UNITS[match?.[2] ?? ''] ?? 0));
  if (amount > 0 && Number.isSafeInteger(amount)) return amount;
  throw new DefinitionError(
    `${where}: expected a quantity like '${example}' (${units.replaceAll('|', ', ')}) or false, got ${JSON.stringify(value)}`,
  );
}

/** @throws DefinitionError with what was expected */
export function checkedRetention(where: string, options: RetentionOptions = {}): RetentionOptions {
  retentionFrom(where, options);
  return Object.freeze({ ...options });
}

/**
 * @param where named in the error
 * @param base what holds where an option is left out; the defaults unless told otherwise
 * @throws DefinitionError with what was expected
 */
export function retentionFrom(where: string, options: RetentionOptions = {}, base?: Retention): Retention {
  const unknown = Object.keys(options).find((name) => name !== 'maxAge' && name !== 'maxSize');
  if (unknown !== undefined)
    throw new DefinitionError(
      `${where}: changes: expected maxAge and maxSize, got ${JSON.stringify(unknown)}`,
    );
  const age = (value: unknown) => quantity(`${where}: changes.maxAge`, value, 's|m|h|d', '7d');
  const size = (value: unknown) => quantity(`${where}: changes.maxSize`, value, 'KiB|MiB|GiB|TiB', '1GiB');
  const { maxAge, maxSize } = options;
  const { maxAgeMs, maxBytes } = base ?? {
    maxAgeMs: age(DEFAULTS.maxAge),
    maxBytes: size(DEFAULTS.maxSize),
  };
  return Object.freeze({
    maxAgeMs: maxAge === undefined ? maxAgeMs : age(maxAge),
    maxBytes: maxSize === undefined ? maxBytes : size(maxSize),
  });
}
