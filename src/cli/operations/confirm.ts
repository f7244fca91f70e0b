/** Asks before something that cannot be taken back. */
import { createInterface } from 'node:readline/promises';
import { TidemarkError } from '../../platform/errors.js';

/**
 * @param warning what will happen, in a few lines
 * @param yes it was answered on the command line
 * @throws TidemarkError `not_confirmed` on any answer but yes, and where there is no terminal to ask on
 */
export async function confirm(warning: string, yes: boolean): Promise<void> {
  if (yes) return;
  if (!process.stdin.isTTY || !process.stderr.isTTY) {
    throw new TidemarkError('not_confirmed', `${warning} Add --yes, as there is no terminal to ask on.`);
  }
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  try {
    const answer = await terminal.question(`${warning}\nGo on? [y/N] `);
    if (!/^y(es)?$/i.test(answer.trim())) throw new TidemarkError('not_confirmed', 'nothing was done');
  } finally {
    terminal.close();
  }
}
