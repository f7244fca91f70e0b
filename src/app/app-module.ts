/** Loads the module that an application is in: the command line does, and so does every thread that needs the same application. */
import { pathToFileURL } from 'node:url';
import { TidemarkError } from '../platform/errors.js';

/** Whoever started us with a TypeScript loader (npm start does) has it already. */
let typeScript: Promise<void> | undefined;

async function understandTypeScript(file: string): Promise<void> {
  if (!/\.[cm]?tsx?$/.test(file) || import.meta.url.endsWith('.ts')) return;
  typeScript ??= import('tsx/esm/api').then(
    ({ register }) => void register(),
    (cause: unknown) => {
      throw new TidemarkError(
        'invalid_app',
        `${file} is TypeScript: install tsx (npm install tsx), or compile it and name the .js file`,
        { cause },
      );
    },
  );
  await typeScript;
}

/**
 * @param file absolute path
 * @returns what the module exports
 * @throws TidemarkError `invalid_app` when it is TypeScript and nothing here reads that; whatever the module throws
 */
export async function importModule(file: string): Promise<Readonly<Record<string, unknown>>> {
  await understandTypeScript(file);
  return (await import(pathToFileURL(file).href)) as Record<string, unknown>;
}
