/** The files of a document as a page of a front end: compiled with a browser's types, and run one by one. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { outcomeOf, ROOT, type Outcome } from './outcome.js';

export interface Program {
  compile(): Promise<Outcome>;
  /** @param file one of them */
  run(file: string): Promise<Outcome>;
  remove(): Promise<void>;
}

/** @param files name → text; they import each other, `tidemark/client`, `tidemark/react` and packages of the house */
export async function pageOf(files: ReadonlyMap<string, string>): Promise<Program> {
  // As programs of documents are (program.ts).
  const parent = path.join(ROOT, 'coverage');
  await mkdir(parent, { recursive: true });
  const folder = await mkdtemp(path.join(parent, 'docs-'));
  for (const [name, text] of files) await writeFile(path.join(folder, name), text);
  const config = path.join(folder, 'tsconfig.json');
  await writeFile(
    config,
    JSON.stringify({
      extends: '../../examples/orders/board/tsconfig.json',
      compilerOptions: { types: [] },
      include: ['*.ts', '*.tsx', '../../src/**/*.d.ts'],
      exclude: [],
    }),
  );
  return {
    compile: () => outcomeOf(path.join(ROOT, 'node_modules/.bin/tsc'), ['-p', config, '--pretty', 'false']),
    run: (file) =>
      outcomeOf(process.execPath, ['--import', 'tsx', path.join(folder, file)], {
        TSX_TSCONFIG_PATH: config,
      }),
    remove: () => rm(folder, { recursive: true, force: true }),
  };
}
