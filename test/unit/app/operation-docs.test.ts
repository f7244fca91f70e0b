/** The table in the docs says what the schema says. */
import { readFile } from 'node:fs/promises';
import { expect, it } from 'vitest';
import { describeEnvironment } from '../../../src/app/config.js';

const cells = (line: string): string[] =>
  line
    .split('|')
    .slice(1, -1)
    .map((cell) => cell.trim().replaceAll('`', ''));

it('docs/operation.md lists every variable as the schema describes it', async () => {
  const text = await readFile(new URL('../../../docs/operation.md', import.meta.url), 'utf8');
  const rows = text
    .split('\n')
    .map(cells)
    .filter(([name]) => /^[A-Z_]+$/.test(name ?? ''));
  const expected = describeEnvironment().map(({ name, fallback, expected: what, description }) =>
    [name, fallback, what, description].map((cell) => cell.replaceAll('`', '')),
  );
  expect(rows).toEqual(expected);
});
