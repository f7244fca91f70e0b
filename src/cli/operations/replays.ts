/** `tidemark parked replay|skip|accept`. */
import { Command } from 'commander';
import {
  accept,
  replay,
  replayAll,
  requireReplayed,
  skip,
} from '../../projections/operations/parked-control.js';
import type { ReplayOutcome } from '../../projections/parked/replay.js';
import { TidemarkError } from '../../platform/errors.js';
import { columns, count, parseVersion, shown, wrapped } from '../words.js';
import { APP_OPTION, withApp, withOperations } from './connect.js';

const PART_OPTION = ['--part <aggregate>', 'the key is a stream of this joined aggregate'] as const;

interface ReplayCommandOptions {
  readonly app?: string;
  readonly all?: boolean;
  readonly part?: string;
  readonly json?: boolean;
}

function outcomeText({ part, key, events, waiting, fault }: ReplayOutcome): string {
  const name = part === '' ? shown(key) : `${part}: ${shown(key)}`;
  const done = `${name}: ${count(events, 'event is', 'events are')} in`;
  if (!fault) return `${done}, parked no more`;
  const at = `${fault.source}.${fault.type} (stream ${shown(fault.streamId)}, shard ${fault.shard} seq ${fault.seq})`;
  const why = fault.kind === 'needs_newer_code' ? 'is newer than this code' : 'cannot be folded';
  return `${done}, ${count(waiting, 'event still waits', 'events still wait')}: ${at} ${why}: ${fault.error}`;
}

const tell = (outcome: ReplayOutcome): void =>
  console.log(wrapped(outcomeText(outcome), columns()).join('\n'));

export function replayCommand(projectDir: string): Command {
  return new Command('replay')
    .description('fold the events behind parked keys again, in their order')
    .argument('<projection>', 'in the version that is in the code')
    .argument('[key...]', 'keys of rows; of a joined stream, ids')
    .option('--all', 'every key that is parked')
    .option(...PART_OPTION)
    .option(...APP_OPTION)
    .option('--json', 'print JSON, a line for each key')
    .action(async (projection: string, keys: readonly string[], options: ReplayCommandOptions) => {
      const { app: given, all = false, part, json } = options;
      if (all === keys.length > 0)
        throw new TidemarkError('invalid_arguments', 'expected keys, or --all, and not both');
      await withApp(projectDir, given, async (db, { app }) => {
        const outcomes = all
          ? replayAll({ db, app }, projection)
          : keys.map((key) => () => replay({ db, app }, { projection, key, part }));
        let first: ReplayOutcome | undefined;
        let failed = 0;
        let replayed = 0;
        for await (const each of outcomes) {
          const outcome = typeof each === 'function' ? await each() : each;
          if (json) console.log(JSON.stringify(outcome));
          else tell(outcome);
          if (outcome.fault) failed++;
          else replayed++;
          if (outcome.fault) first ??= outcome;
        }
        if (failed + replayed === 0) console.log('nothing is parked');
        if (first) requireReplayed(projection, first);
      });
    });
}

interface SkipCommandOptions {
  readonly app?: string;
  readonly part?: string;
  readonly why: string;
  readonly json?: boolean;
}

export function skipCommand(projectDir: string): Command {
  return new Command('skip')
    .description('leave the event at fault of a parked key out, for ever, and fold those after it')
    .argument('<projection>', 'in the version that is in the code')
    .argument('<key>', 'key of the row; of a joined stream, its id')
    .requiredOption('--why <text>', 'kept beside the event that is skipped')
    .option(...PART_OPTION)
    .option(...APP_OPTION)
    .option('--json', 'print JSON')
    .action(async (projection: string, key: string, { app: given, part, why, json }: SkipCommandOptions) => {
      const reason = why.trim();
      if (reason === '' || reason.length > 500)
        throw new TidemarkError('invalid_arguments', '--why: expected 1 to 500 characters');
      await withApp(projectDir, given, async (db, { app }) => {
        const outcome = await skip({ db, app }, { projection, key, part }, reason);
        if (json) console.log(JSON.stringify(outcome));
        else tell(outcome);
      });
    });
}

interface AcceptCommandOptions {
  readonly version?: number;
  readonly undo?: boolean;
  readonly json?: boolean;
}

export function acceptCommand(projectDir: string): Command {
  return new Command('accept')
    .description('let a version be served for the first time though keys are parked')
    .argument('<projection>')
    .option('--version <number>', 'the newest that is not retired without it', parseVersion)
    .option('--undo', 'take it back')
    .option('--json', 'print JSON')
    .action(async (name: string, { version, undo = false, json }: AcceptCommandOptions) => {
      await withOperations(projectDir, async (db) => {
        const report = await accept(db, { name, version }, !undo);
        const title = `${report.name} v${report.version}`;
        const may = report.acceptParked ? 'may become ready' : 'does not become ready';
        const text = `${title} ${may} while keys are parked (${count(report.parkedKeys, 'key')} now)`;
        console.log(json ? JSON.stringify(report) : text);
      });
    });
}
