/** Runs programs of ours that are TypeScript. */
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { giveUp, prepare, ROOT } from './prepare.js';

/**
 * Ends with one line where an option is none of the program's, and as the program does otherwise.
 * @param place its file, from the project's root
 * @param args those of the command line
 * @param usage what they may be
 */
export async function runTypeScript(place, args, usage) {
  await prepare();
  const { register } = await import('tsx/esm/api');
  process.env['TSX_TSCONFIG_PATH'] ??= path.join(ROOT, 'tsconfig.json');
  register();
  const file = path.join(ROOT, place);
  process.argv = [process.argv[0], file, ...args];
  try {
    await import(pathToFileURL(file).href);
  } catch (error) {
    if (!String(error?.code).startsWith('ERR_PARSE_ARGS')) throw error;
    giveUp(`${error.message.split('. ')[0]}; ${usage}`);
  }
}
