/** `tidemark projections verify|diff`: are the rows what their events make, and what does another version make of them? */
import { Command, Option } from 'commander';
import { diffVersions } from '../../projections/verify/diff.js';
import { verifyProjection, type Verification } from '../../projections/verify/verify.js';
import { amount, columns, parseDuration, parseVersion, positive, whole } from '../words.js';
import { APP_OPTION, withApp, withOperations } from './connect.js';
import { diffText, verificationText } from './checking-text.js';

/** What was compared differs. */
const DIFFERS = 2;

interface VerifyCommandOptions {
  readonly app?: string;
  readonly sample?: number;
  readonly all?: boolean;
  readonly key: readonly string[];
  readonly seed?: number;
  readonly timeout: number;
  readonly json?: boolean;
}

/** A line that is written over on a terminal; nothing elsewhere. */
function progressTold(compared: number, events: number): void {
  if (process.stderr.isTTY)
    process.stderr.write(`\r${amount(compared)} rows compared, ${amount(events)} events folded\u001b[K`);
}

function exitCodeOf({ differences, complete }: Verification): number {
  if (differences > 0) return DIFFERS;
  return complete ? 0 : 1;
}

async function verify(projectDir: string, name: string, options: VerifyCommandOptions): Promise<void> {
  const { sample, all, key, seed, timeout, json } = options;
  await withApp(projectDir, options.app, async (db, { app }) => {
    const verification = await verifyProjection(db, app, name, {
      ...(key.length > 0 && { keys: key }),
      ...(all && { all }),
      ...(sample !== undefined && { sample }),
      ...(seed !== undefined && { seed }),
      timeoutMs: timeout,
      progress: ({ compared, events }) => progressTold(compared, events),
    });
    if (process.stderr.isTTY) process.stderr.write('\r\u001b[K');
    console.log(json ? JSON.stringify(verification) : verificationText(verification, columns()));
    process.exitCode = exitCodeOf(verification);
  });
}

export function verifyCommand(projectDir: string): Command {
  return new Command('verify')
    .description('fold events again and compare the rows that they make with those of the table; only reads')
    .argument('<projection>', 'in the version that is in the code')
    .option(...APP_OPTION)
    .option('--sample <rows>', 'about so many, drawn by chance (1000 unless told otherwise)', positive)
    .addOption(new Option('--all', 'every row').conflicts(['sample', 'key']))
    .addOption(
      new Option('--key <key>', 'this row; may be repeated')
        .argParser((text, before: string[]) => [...before, text])
        .default([])
        .conflicts('sample'),
    )
    .option('--seed <number>', 'draw the same sample again', whole)
    .option('--timeout <time>', 'end with what there is after this time', parseDuration, 3_600_000)
    .option('--json', 'print JSON')
    .addHelpText('after', '\nExit code 0: no difference; 2: differences; 1: not all could be compared.')
    .action((name: string, options: VerifyCommandOptions) => verify(projectDir, name, options));
}

interface DiffCommandOptions {
  readonly limit: number;
  readonly timeout: number;
  readonly json?: boolean;
}

export function diffCommand(projectDir: string): Command {
  return new Command('diff')
    .description('compare the rows of two versions of a projection, as of one moment; only reads')
    .argument('<projection>')
    .argument('<first>', 'a version', parseVersion)
    .argument('<second>', 'another version', parseVersion)
    .option('--limit <rows>', 'how many to show', positive, 20)
    .option('--timeout <time>', 'give up after this time', parseDuration, 600_000)
    .option('--json', 'print JSON')
    .addHelpText('after', '\nExit code 0: no difference; 2: differences; 1: they could not be compared.')
    .action(
      async (name: string, first: number, second: number, { limit, timeout, json }: DiffCommandOptions) => {
        await withOperations(projectDir, async (db) => {
          const diff = await diffVersions(db, name, [first, second], { limit, timeoutMs: timeout });
          console.log(json ? JSON.stringify(diff) : diffText(diff, columns()));
          const { differing, firstOnly, secondOnly } = diff;
          if (differing.total + firstOnly.total + secondOnly.total > 0) process.exitCode = DIFFERS;
        });
      },
    );
}
