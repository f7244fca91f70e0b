/** `tidemark projections …`: how projections stand, and what an operator does with them. */
import { setTimeout as wait } from 'node:timers/promises';
import { Command } from 'commander';
import { listProjections, showProjection } from '../../projections/operations/list.js';
import type { Surroundings } from '../program.js';
import { listenToSignals } from '../signals.js';
import { columns } from '../words.js';
import { diffCommand, verifyCommand } from './checking.js';
import { withOperations } from './connect.js';
import { listText } from './list-text.js';
import { pauseCommand, resumeCommand } from './pausing.js';
import { rebuildCommand } from './rebuild.js';
import { pruneCommand, swapViewCommand } from './release.js';

interface ListOptions {
  readonly json?: boolean;
  readonly watch?: boolean;
}

const WATCH_MS = 1_000;
/** To the top left corner, and all below it empty. */
const CLEAR = '\u001b[H\u001b[J';

/** Again and again until Ctrl-C; on a terminal in one place. */
async function watch(look: () => Promise<string>): Promise<void> {
  const signals = listenToSignals(() => process.exit(130));
  let stopped = false;
  const stop = signals.first.then(() => (stopped = true));
  try {
    while (!stopped) {
      const text = await look();
      console.log(process.stdout.isTTY ? `${CLEAR}${text}` : text);
      await Promise.race([stop, wait(WATCH_MS)]);
    }
  } finally {
    signals.ignore();
  }
}

function listCommand(projectDir: string): Command {
  return new Command('list')
    .description('how each version of each projection stands')
    .argument('[projection]', 'one of them only')
    .option('--watch', 'again every second, until Ctrl-C')
    .option('--json', 'print JSON')
    .action(async (name: string | undefined, { json, watch: again }: ListOptions) => {
      await withOperations(projectDir, async (db) => {
        const look = async (): Promise<string> => {
          const reports = name === undefined ? await listProjections(db) : await showProjection(db, name);
          return json ? JSON.stringify(reports) : listText(reports, columns());
        };
        if (again) await watch(look);
        else console.log(await look());
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
