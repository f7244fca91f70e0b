/** `tidemark projections …`: how projections stand, and what an operator does with them. */
import { Command } from 'commander';
import { listProjections, showProjection } from '../../projections/operations/list.js';
import type { Surroundings } from '../program.js';
import { columns } from '../words.js';
import { diffCommand, verifyCommand } from './checking.js';
import { withOperations } from './connect.js';
import { listText } from './list-text.js';
import { pauseCommand, resumeCommand } from './pausing.js';
import { rebuildCommand } from './rebuild.js';
import { pruneCommand, swapViewCommand } from './release.js';

interface Json {
  readonly json?: boolean;
}

function listCommand(projectDir: string): Command {
  return new Command('list')
    .description('how each version of each projection stands')
    .argument('[projection]', 'one of them only')
    .option('--json', 'print JSON')
    .action(async (name: string | undefined, { json }: Json) => {
      await withOperations(projectDir, async (db) => {
        const reports = name === undefined ? await listProjections(db) : await showProjection(db, name);
        console.log(json ? JSON.stringify(reports) : listText(reports, columns()));
      });
    });
}

const COMMANDS = [
  listCommand,
  rebuildCommand,
  swapViewCommand,
  pruneCommand,
  verifyCommand,
  diffCommand,
  pauseCommand,
  resumeCommand,
];

export function projectionsCommand({ projectDir }: Surroundings): Command {
  const command = new Command('projections').description('show, change, rebuild and mend projections');
  for (const make of COMMANDS) command.addCommand(make(projectDir));
  return command;
}
