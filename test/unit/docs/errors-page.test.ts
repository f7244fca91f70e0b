/** docs/errors.md is what the catalogues say. */
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { resolveConfig } from 'prettier';
import { expect, test } from 'vitest';
import { ERRORS_PAGE, errorsPage } from '../../../scripts/docs/errors-page.js';

test(`${ERRORS_PAGE} is up to date (npm run docs)`, async () => {
  const file = fileURLToPath(new URL(`../../../${ERRORS_PAGE}`, import.meta.url));
  expect(await readFile(file, 'utf8')).toBe(await errorsPage((await resolveConfig(file)) ?? {}));
});
