/** Finds and loads the module that an application is in. */
import { access } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { isApp, type AnyApp } from '../domain/app.js';
import { messageOf, TidemarkError } from '../platform/errors.js';

/** A request that shows the application at work; `tidemark start` prints them as curl lines. */
export interface Sample {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  readonly body?: unknown;
}

export interface AppModule {
  readonly app: AnyApp;
  /** What the module exports as `tryIt`. */
  readonly samples: readonly Sample[];
}

const USUAL = ['app.ts', 'app.js', 'src/app.ts', 'src/app.js', 'dist/app.js'];

const invalid = (message: string, cause?: unknown): TidemarkError =>
  new TidemarkError('invalid_app', message, cause === undefined ? {} : { cause });

async function isThere(file: string): Promise<boolean> {
  return access(file).then(
    () => true,
    () => false,
  );
}

async function find(projectDir: string, given: string | undefined): Promise<string> {
  if (given !== undefined) {
    const file = path.resolve(projectDir, given);
    if (await isThere(file)) return file;
    throw invalid(`there is no app module ${file}`);
  }
  for (const name of USUAL) {
    const file = path.join(projectDir, name);
    if (await isThere(file)) return file;
  }
  throw invalid(`name the app module (there is none of ${USUAL.join(', ')} in ${projectDir})`);
}

/** Whoever started us with a TypeScript loader (npm start does) has it already. */
let typeScript: Promise<void> | undefined;

async function understandTypeScript(file: string): Promise<void> {
  if (!/\.[cm]?tsx?$/.test(file) || import.meta.url.endsWith('.ts')) return;
  typeScript ??= import('tsx/esm/api').then(
    ({ register }) => void register(),
    (cause: unknown) => {
      throw invalid(
        `${file} is TypeScript: install tsx (npm install tsx), or compile it and name the .js file`,
        cause,
      );
    },
  );
  await typeScript;
}

function samplesOf(exported: Record<string, unknown>): readonly Sample[] {
  const samples = exported['tryIt'];
  if (!Array.isArray(samples)) return [];
  return samples.filter(
    (each: unknown): each is Sample =>
      typeof each === 'object' && each !== null && 'method' in each && 'path' in each,
  );
}

const OWN_CODE = fileURLToPath(new URL('..', import.meta.url));

/** Where in the project it was thrown, as ` (app.ts:3:7)`; nothing where the stack does not say. */
function placeOf(thrown: unknown, projectDir: string): string {
  const stack = (thrown instanceof Error && thrown.stack) || '';
  for (const [, place = ''] of stack.matchAll(/^ +at (?:.*\()?((?:file:\/\/)?\/.*?:\d+:\d+)\)?$/gm)) {
    const file = place.startsWith('file:') ? fileURLToPath(place) : place;
    const isTheirs = file.startsWith(projectDir + path.sep) && !file.startsWith(OWN_CODE);
    if (isTheirs && !file.includes('/node_modules/')) return ` (${path.relative(projectDir, file)})`;
  }
  return '';
}

/**
 * @param given path of the module, relative to the project; the usual places are looked at without one
 * @throws TidemarkError `invalid_app` when there is none, it cannot be loaded, or its default export is no application
 */
export async function loadAppModule(projectDir: string, given: string | undefined): Promise<AppModule> {
  const file = await find(projectDir, given);
  await understandTypeScript(file);
  let exported: Record<string, unknown>;
  try {
    exported = (await import(pathToFileURL(file).href)) as Record<string, unknown>;
  } catch (cause) {
    const place = placeOf(cause, projectDir);
    throw invalid(
      `${path.relative(projectDir, file) || file} cannot be loaded: ${messageOf(cause)}${place}`,
      cause,
    );
  }
  const app = exported['default'];
  if (!isApp(app)) throw invalid(`the default export of ${file} is not what defineApp returns`);
  return { app, samples: samplesOf(exported) };
}
