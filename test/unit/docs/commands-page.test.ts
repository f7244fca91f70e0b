/** docs/operation.md names the commands for operators that there are, with their arguments, and no option that is not there. */
import { readFile } from 'node:fs/promises';
import type { Command } from 'commander';
import { expect, test } from 'vitest';
import { program } from '../../../src/cli/program.js';

const root = program({ projectDir: '/' });
const find = (name: string): Command => {
  const found = root.commands.find((command) => command.name() === name);
  if (!found) throw new Error(`there is no command ${name}`);
  return found;
};
const signature = (command: Command): string =>
  [
    command.name(),
    ...command.registeredArguments.map((argument) => {
      const name = `${argument.name()}${argument.variadic ? '...' : ''}`;
      return argument.required ? `<${name}>` : `[${name}]`;
    }),
  ].join(' ');

/** Told once for all commands, or by every one's `--help`. */
const COMMON = ['--json', '--app', '--part'];

test.each(['projections', 'parked'])('tidemark %s', async (name) => {
  const page = await readFile(new URL('../../../docs/operation.md', import.meta.url), 'utf8');
  const table = page.split(`\`tidemark ${name}\`:\n\n`)[1]?.split('\n\n')[0] ?? '';
  const rows = [...table.matchAll(/^\| `([^`]+)` +\| (.*) \|$/gm)].map(([, call = '', text = '']) => ({
    call,
    text,
  }));
  const commands = find(name).commands;
  expect(rows.map(({ call }) => call)).toEqual(commands.map(signature));
  for (const [at, command] of commands.entries()) {
    const told = [...(rows[at]?.text ?? '').matchAll(/`(--[a-z-]+)`/g)].map(([, option = '']) => option);
    const there = command.options.map(({ long }) => long ?? '').filter((option) => !COMMON.includes(option));
    expect(new Set(told), command.name()).toEqual(new Set(there));
  }
  for (const option of COMMON) expect(page).toContain(`\`${option}`);
});

test('every command of the table of commands is there', async () => {
  const page = await readFile(new URL('../../../docs/operation.md', import.meta.url), 'utf8');
  const told = new Set([...page.matchAll(/^\| `tidemark ([a-z]+)/gm)].map(([, name]) => name));
  expect(told).toEqual(new Set(root.commands.map((command) => command.name())));
});
