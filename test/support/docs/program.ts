/** The TypeScript of a document as one program: compiled as strictly as the house, and run. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { outcomeOf, ROOT, type Outcome } from './outcome.js';

export interface Program {
  compile(): Promise<Outcome>;
  /** @param env beside that of the tests */
  run(env?: Readonly<Record<string, string>>): Promise<Outcome>;
  remove(): Promise<void>;
}

/** @param text of one module, which imports `tidemark`, `tidemark/testing` and packages of the house */
export async function programOf(text: string): Promise<Program> {
  // Inside of the house, so that packages are found, where neither git nor the linter looks.
  const parent = path.join(ROOT, 'coverage');
  await mkdir(parent, { recursive: true });
  const folder = await mkdtemp(path.join(parent, 'docs-'));
  const file = path.join(folder, 'program.ts');
  const config = path.join(folder, 'tsconfig.json');
  await writeFile(file, text);
  await writeFile(
    config,
    JSON.stringify({
      extends: '../../tsconfig.json',
      compilerOptions: { noUnusedLocals: false },
      // What the house declares of others is found by no import.
      include: ['program.ts', '../../src/**/*.d.ts'],
      exclude: [],
    }),
  );
  return {
    compile: () => outcomeOf(path.join(ROOT, 'node_modules/.bin/tsc'), ['-p', config, '--pretty', 'false']),
    run: (env) => outcomeOf(process.execPath, ['--import', 'tsx', file], env),
    remove: () => rm(folder, { recursive: true, force: true }),
  };
}
