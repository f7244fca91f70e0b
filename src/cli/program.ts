/** The command line: what commands there are, and how they end. */
import { Command, CommanderError } from 'commander';
import { VERSION } from '../app/version.js';
import { doctorCommand } from './doctor.js';
import { argumentsLine, tellFailure } from './failure.js';
import { migrateCommand } from './migrate.js';
import { parkedCommand } from './operations/parked.js';
import { projectionsCommand } from './operations/projections.js';
import { startCommand } from './start.js';
import { streamsCommand } from './streams.js';

export interface Surroundings {
  /** `.tidemark/` is in it, and an app module is looked for in it. */
  readonly projectDir: string;
}

const COMMANDS = [
  startCommand,
  migrateCommand,
  projectionsCommand,
  parkedCommand,
  streamsCommand,
  doctorCommand,
];

/** Commander neither ends the process nor speaks in its own words, in no command of the tree. */
function tame(command: Command): Command {
  for (const child of command.commands) tame(child);
  return command.exitOverride().configureOutput({ outputError: (text, write) => write(argumentsLine(text)) });
}

/** All commands. */
export function program(surroundings: Surroundings): Command {
  const root = new Command('tidemark')
    .description('Runs and looks after applications that are made with Tidemark.')
    .version(VERSION)
    // Or `--version` of a command would be this one.
    .enablePositionalOptions();
  for (const command of COMMANDS) root.addCommand(command(surroundings));
  return tame(root);
}

/**
 * Runs one command and sets the exit code of the process: 0 done, 1 it could not be done (wrong arguments among it), 2 what
 * was compared differs.
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
    tellFailure(error);
    process.exitCode = 1;
  }
}
