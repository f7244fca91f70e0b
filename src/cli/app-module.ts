/** Finds and loads the module that an application is in. */
import { access } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { importModule } from '../app/app-module.js';
import { isApp, type AnyApp } from '../domain/app.js';
import { isTidemarkError, messageOf, TidemarkError } from '../platform/errors.js';

/** A request that shows the application at work; `tidemark start` prints them as curl lines. */
export interface Sample {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  readonly body?: unknown;
}

export interface AppModule {
  readonly app: AnyApp;
  /** Absolute path. */
  readonly file: string;
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

/** The module in one of the usual places, if there is one. */
export async function usualAppModule(projectDir: string): Promise<string | undefined> {
  for (const name of USUAL) {
    const file = path.join(projectDir, name);
    if (await isThere(file)) return file;
  }
  return undefined;
}

async function find(projectDir: string, given: string | undefined): Promise<string> {
  if (given !== undefined) {
    const file = path.resolve(projectDir, given);
    if (await isThere(file)) return file;
    throw invalid(`there is no app module ${file}`);
  }
  const usual = await usualAppModule(projectDir);
  if (usual !== undefined) return usual;
  throw invalid(`name the app module (there is none of ${USUAL.join(', ')} in ${projectDir})`);
}

function samplesOf(exported: Readonly<Record<string, unknown>>): readonly Sample[] {
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
  let exported: Readonly<Record<string, unknown>>;
  try {
    exported = await importModule(file);
  } catch (cause) {
    if (isTidemarkError(cause, 'invalid_app')) throw cause;
    const place = placeOf(cause, projectDir);
    throw invalid(
      `${path.relative(projectDir, file) || file} cannot be loaded: ${messageOf(cause)}${place}`,
      cause,
    );
  }
  const app = exported['default'];
  if (!isApp(app)) throw invalid(`the default export of ${file} is not what defineApp returns`);
  return { app, file, samples: samplesOf(exported) };
}
