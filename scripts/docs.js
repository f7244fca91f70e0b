/** `npm run docs`: writes the pages that are made from the code. A test says when that is due. */
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { prepare, ROOT } from './prepare.js';

await prepare();
const { register } = await import('tsx/esm/api');
register();
const { resolveConfig } = await import('prettier');
const { ERRORS_PAGE, errorsPage } = await import('./docs/errors-page.ts');
const file = path.join(ROOT, ERRORS_PAGE);
await writeFile(file, await errorsPage(await resolveConfig(file)));
console.log(ERRORS_PAGE);
