/** The command line: what commands there are, and how a failure is told: one line on standard error, exit code 1. */
import { Command, CommanderError } from 'commander';
import { VERSION } from '../app/version.js';
import { isTidemarkError, messageOf } from '../platform/errors.js';
import { doctorCommand } from './doctor.js';
import { migrateCommand } from './migrate.js';
import { startCommand } from './start.js';
import { streamsCommand } from './streams.js';

export interface Surroundings {
  /** `.tidemark/` is in it, and an app module is looked for in it. */
  readonly projectDir: string;
}

function program(surroundings: Surroundings): Command {
  const root = new Command('tidemark')
    .description('Runs and looks after applications that are made with Tidemark.')
    .version(VERSION)
    .exitOverride();
  for (const command of [startCommand, migrateCommand, streamsCommand, doctorCommand]) {
    root.addCommand(command(surroundings).exitOverride());
  }
  return root;
}

/** A failure of ours is a line or two; one that nobody foresaw shows its stack where somebody debugs. */
function tell(error: unknown): void {
  console.error(`tidemark: ${messageOf(error)}`);
  if (process.env['LOG_LEVEL'] === 'debug' || process.env['LOG_LEVEL'] === 'trace') console.error(error);
  else if (!isTidemarkError(error)) console.error('(LOG_LEVEL=debug shows where this comes from)');
}

/**
 * Runs one command and sets the exit code of the process.
 * @param argv without the interpreter and the script
 */
export async function main(argv: readonly string[], surroundings: Surroundings): Promise<void> {
  try {
    await program(surroundings).parseAsync(argv, { from: 'user' });
  } catch (error) {
    if (error instanceof CommanderError) {
      process.exitCode = error.exitCode; // It has said what is wrong itself.
      return;
    }
    tell(error);
    process.exitCode = 1;
  }
}
