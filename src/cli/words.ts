/** Numbers, sizes and times as people read and write them on the command line. */
import { InvalidArgumentError } from 'commander';

/** `1,200,000` */
export const amount = (n: number): string => n.toLocaleString('en-US');

/** `1 key`, `2 keys` */
export const count = (n: number, one: string, many = `${one}s`): string =>
  `${amount(n)} ${n === 1 ? one : many}`;

/** `512 B`, `1.4 MiB` */
export function size(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let value = bytes;
  let unit = 0;
  // What would be rounded up to 1,024 is one of the next unit.
  for (; value >= 1023.95 && unit < units.length - 1; unit++) value /= 1_024;
  return `${unit === 0 ? value : value.toFixed(value < 9.95 ? 1 : 0)} ${units[unit]}`;
}

/** Milliseconds as `350 ms`, `8 s`, `2 min 5 s`, `3 h 20 min`, `2 d 4 h`; two units at the most. */
export function duration(ms: number): string {
  if (ms < 1_000) return `${Math.round(ms)} ms`;
  const seconds = Math.round(ms / 1_000);
  const parts: readonly (readonly [number, string])[] = [
    [Math.floor(seconds / 86_400), 'd'],
    [Math.floor(seconds / 3_600) % 24, 'h'],
    [Math.floor(seconds / 60) % 60, 'min'],
    [seconds % 60, 's'],
  ];
  const first = parts.findIndex(([n]) => n > 0);
  return parts
    .slice(first, first + 2)
    .filter(([n]) => n > 0)
    .map(([n, unit]) => `${n} ${unit}`)
    .join(' ');
}

const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };
const MAX_DURATION_MS = 365 * 86_400_000;

/**
 * Milliseconds of `500ms`, `5s`, `30m`, `24h`, `7d`, or `0`; up to a year.
 * @throws InvalidArgumentError with what was expected
 */
export function parseDuration(text: string): number {
  const [, digits = '', unit = ''] = /^(\d{1,9})(ms|s|m|h|d)$/.exec(text) ?? [];
  const ms = text === '0' ? 0 : Number(digits || Number.NaN) * (UNITS[unit] ?? Number.NaN);
  if (!(ms <= MAX_DURATION_MS))
    throw new InvalidArgumentError('Expected a time like 500ms, 5s, 30m, 24h or 7d.');
  return ms;
}

/** @throws InvalidArgumentError with what was expected */
export function positive(text: string): number {
  if (!/^[1-9]\d{0,8}$/.test(text)) throw new InvalidArgumentError('Expected a whole number from 1 on.');
  return Number(text);
}

/** @throws InvalidArgumentError with what was expected */
export function whole(text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new InvalidArgumentError('Expected a whole number.');
  return Number(text);
}

/**
 * The number of a version, `2` or `v2`.
 * @throws InvalidArgumentError with what was expected
 */
export function parseVersion(text: string): number {
  if (!/^v?[1-9]\d{0,5}$/.test(text)) throw new InvalidArgumentError('Expected a version like 2 or v2.');
  return Number(text.replace('v', ''));
}

/** How many columns there are to write in: those of the terminal, 100 where there is none. */
export const columns = (): number => (process.stdout.isTTY ? Math.max(60, process.stdout.columns) : 100);

/** A key or an id, which are the application's own texts: quoted where it could pass for something else. */
export const shown = (text: string): string =>
  /^[\w.:@/+-]+$/.test(text)
    ? text
    : JSON.stringify(text).replaceAll(
        /\p{Cf}/gu,
        (sign) => `\\u${(sign.codePointAt(0) ?? 0).toString(16).padStart(4, '0')}`,
      );

// eslint-disable-next-line no-control-regex -- control characters (and those that turn the direction of a text) are what is looked for
const CONTROL = /[\u0000-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g;

/**
 * Breaks a text into lines at spaces; a word that is longer than a line is cut. What would steer the terminal is taken out, as
 * texts come from data.
 * @param indent stands before each line, and counts
 */
export function wrapped(text: string, width: number, indent = ''): string[] {
  const room = width - indent.length;
  const lines: string[] = [];
  let line = '';
  const words = text.split(/\s+/).map((word) => word.replaceAll(CONTROL, '\ufffd'));
  for (const word of words.filter(Boolean)) {
    if (line !== '' && line.length + 1 + word.length > room) {
      lines.push(line);
      line = '';
    }
    line = line === '' ? word : `${line} ${word}`;
    for (; line.length > room; line = line.slice(room)) lines.push(line.slice(0, room));
  }
  if (line !== '') lines.push(line);
  return lines.map((each) => indent + each);
}

export interface Column {
  readonly title: string;
  /** Numbers stand to the right. */
  readonly right?: boolean;
}

/**
 * A table with two spaces between its columns. The first one gives way where the table would not fit: what is too long for
 * it has a line of its own.
 * @param rows a cell per column
 * @returns lines: the heading, then those of each row
 */
export function table(
  heads: readonly Column[],
  rows: readonly (readonly string[])[],
  width: number,
): { readonly heading: string; readonly rows: readonly (readonly string[])[] } {
  const widths = heads.map(({ title }, at) =>
    Math.max(title.length, ...rows.map((row) => row[at]?.length ?? 0)),
  );
  const others = widths.slice(1).reduce((sum, each) => sum + each + 2, 0);
  widths[0] = Math.min(widths[0] ?? 0, Math.max(heads[0]?.title.length ?? 0, width - others));
  const cells = (row: readonly string[]): string =>
    row
      .map((cell, at) => (heads[at]?.right ? cell.padStart(widths[at] ?? 0) : cell.padEnd(widths[at] ?? 0)))
      .join('  ')
      .trimEnd();
  return {
    heading: cells(heads.map(({ title }) => title)),
    rows: rows.map((row) => {
      const [first = '', ...rest] = row;
      return first.length > (widths[0] ?? 0) ? [first, cells(['', ...rest])] : [cells(row)];
    }),
  };
}
