/** Runs the compiler over the type tests: each line marked as a mistake must be one, and nothing else may be. */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';

const run = promisify(execFile);
const path = (relative: string): string => fileURLToPath(new URL(relative, import.meta.url));

test('mistakes are compile errors, and good definitions compile', async () => {
  const tsc = path('../../node_modules/typescript/bin/tsc');
  const outcome = await run(process.execPath, [tsc, '-p', path('tsconfig.json'), '--pretty', 'false']).then(
    () => 'compiles',
    (failure: { stdout: string }) => failure.stdout,
  );
  expect(outcome).toBe('compiles');
});
