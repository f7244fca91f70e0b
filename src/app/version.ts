/** The version of Tidemark that runs, from its package.json. */
import { createRequire } from 'node:module';

function read(): string {
  // Both src/app and dist/app are two folders below it.
  const manifest: unknown = createRequire(import.meta.url)('../../package.json');
  const version =
    typeof manifest === 'object' && manifest !== null && 'version' in manifest ? manifest.version : '';
  return String(version);
}

export const VERSION: string = read();
