#!/usr/bin/env node
/** The `tidemark` command: what was built, in an installed package; the sources, in a clone (so that `npx tidemark` works there too). */
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const fromHere = (place) => new URL(place, import.meta.url);
const sources = fromHere('../src/cli/program.ts');

if (existsSync(sources)) {
  const { prepare } = await import('../scripts/prepare.js');
  await prepare();
  const { register } = await import('tsx/esm/api');
  process.env['TSX_TSCONFIG_PATH'] ??= fileURLToPath(fromHere('../tsconfig.json'));
  register();
  const { main } = await import(sources.href);
  await main(process.argv.slice(2), { projectDir: process.cwd() });
} else {
  await import('../dist/cli/main.js');
}
