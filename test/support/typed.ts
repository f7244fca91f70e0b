/** Types a command line into the command itself, in this process: as a program of its own does, without its seconds of start. */
import { fileURLToPath } from 'node:url';
import { vi } from 'vitest';
import { main } from '../../src/cli/program.js';
import type { Finished } from './command.js';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

/**
 * @param env stands in the environment of this process meanwhile, so one at a time
 * @param projectDir where it is typed; the root of this repository unless told otherwise
 */
export async function typed(
  args: readonly string[],
  env: Record<string, string>,
  projectDir = ROOT,
): Promise<Finished> {
  let [stdout, stderr] = ['', ''];
  const code = process.exitCode;
  const before = Object.keys(env).map((name) => [name, process.env[name]] as const);
  const spies = [
    vi.spyOn(console, 'log').mockImplementation((line: string) => void (stdout += `${line}\n`)),
    vi.spyOn(console, 'error').mockImplementation((line: string) => void (stderr += `${line}\n`)),
    vi.spyOn(process.stderr, 'write').mockImplementation((text) => {
      stderr += String(text);
      return true;
    }),
  ];
  for (const [name, value] of Object.entries(env)) vi.stubEnv(name, value);
  process.exitCode = 0;
  try {
    await main(args, { projectDir });
    return { code: process.exitCode, stdout, stderr };
  } finally {
    process.exitCode = code;
    for (const spy of spies) spy.mockRestore();
    for (const [name, value] of before) vi.stubEnv(name, value);
  }
}
