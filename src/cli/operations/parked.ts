/** `tidemark parked …`: keys whose fold threw, what waits behind them, and what an operator does with them. */
import { Command } from 'commander';
import { listParked, showParked } from '../../projections/operations/parked-list.js';
import type { Surroundings } from '../program.js';
import { columns, parseVersion, positive } from '../words.js';
import { withOperations } from './connect.js';
import { parkedListText, parkedText } from './parked-text.js';
import { acceptCommand, replayCommand, skipCommand } from './replays.js';

interface ListOptions {
  readonly limit: number;
  readonly json?: boolean;
}

interface KeyOptions {
  readonly part?: string;
  readonly version?: number;
  readonly json?: boolean;
}

function listCommand(projectDir: string): Command {
  return new Command('list')
    .description('keys whose fold threw, the longest parked first')
    .argument('[projection]', 'of one projection only')
    .option('--limit <count>', 'how many to show', positive, 100)
    .option('--json', 'print JSON')
    .action(async (projection: string | undefined, { limit, json }: ListOptions) => {
      await withOperations(projectDir, async (db) => {
        const found = await listParked(db, { projection, limit });
        console.log(json ? JSON.stringify(found) : parkedListText(found.items, found.total, columns()));
      });
    });
}

function showCommand(projectDir: string): Command {
  return new Command('show')
    .description('the event at fault of a parked key, and what waits behind it')
    .argument('<projection>')
    .argument('<key>', 'key of the row; of a joined stream, its id')
    .option('--part <aggregate>', 'the key is a stream of this joined aggregate')
    .option('--version <number>', 'of this version; else of the newest that has it parked', parseVersion)
    .option('--json', 'print JSON')
    .action(async (projection: string, key: string, { part, version, json }: KeyOptions) => {
      await withOperations(projectDir, async (db) => {
        const found = await showParked(db, { projection, key, part, version });
        console.log(json ? JSON.stringify(found) : parkedText(found, columns()));
      });
    });
}

const COMMANDS = [listCommand, showCommand, replayCommand, skipCommand, acceptCommand];

export function parkedCommand({ projectDir }: Surroundings): Command {
  const command = new Command('parked').description('show and mend keys whose fold threw');
  for (const make of COMMANDS) command.addCommand(make(projectDir));
  return command;
}
